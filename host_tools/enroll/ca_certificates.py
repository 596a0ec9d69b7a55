"""CA certificates of a DPS instance, through Azure's management API.

azure-identity signs in: it looks at the environment, a managed identity and the Azure CLI's login.
For the simulator, the key of its connection string is the token.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from .. import ToolError
from ..certs.ca import proof_of_possession
from ..certs.encoding import der, pem
from ..certs.keys import PrivateKey
from ..certs.making import CertAndKey
from ..certs.reading import load_certs
from . import connection_string
from .service_api import ADVICE, QUOTE_LIMIT
from .trust import trusted_file

# In the host name of every DPS instance of Azure's. Such a host never gets the key as a token.
AZURE_HOST = ".azure-devices-provisioning."

# The simulator's token does not expire: seconds since 1970.
NO_EXPIRY = 2**31

RETRIES = 2


class KeyCredential:
    """The credential for the simulator: its token is the key of the connection string."""

    def __init__(self, key: str):
        self._key = key

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        return AccessToken(self._key, NO_EXPIRY)


@dataclass
class CaCertificates:
    """The CA certificates of a DPS instance. Its methods raise ToolError.

    client  the attribute dps_certificate of an IotDpsClient
    """

    client: Any
    resource_group: str
    dps: str

    def upload(self, name: str, cert: Path, verified: bool) -> str:
        """Upload a certificate, unless DPS has it already → a line about the result.

        verified  mark it as verified, without a proof of possession
        """
        from azure.mgmt.iothubprovisioningservices import models

        (content, *_) = load_certs(cert)
        before = self._get(name)
        same = before is not None and _der(before) == der(content)
        if same and (before.properties.is_verified or not verified):
            return f"unchanged: CA {name}, {_status(before)}"
        properties = models.CertificateProperties(
            certificate=pem(content), is_verified=verified or None
        )
        with _azure_errors(f"upload {cert}"):
            after = self.client.create_or_update(
                **self._path(name),
                certificate_description=models.CertificateResponse(properties=properties),
                **_if_match(before),
            )
        return f"uploaded: CA {name}, {_status(after)}"

    def prove(self, name: str, key: PrivateKey) -> str:
        """Prove possession of a CA's key → a line about the result."""
        from azure.mgmt.iothubprovisioningservices import models

        before = self._get(name)
        if before is None:
            raise ToolError(f"there is no CA {name}: upload it first, with --cert")
        ca = CertAndKey(x509.load_der_x509_certificate(_der(before)), key)
        if ca.cert.public_key() != key.public_key():
            raise ToolError(f"the key is not the key of CA {name}: give the CA's own key")
        if before.properties.is_verified:
            return f"unchanged: CA {name}, verified"
        with _azure_errors(f"prove possession of {name}"):
            asked = self.client.generate_verification_code(**self._path(name), **_if_match(before))
            proof = proof_of_possession(asked.properties.verification_code, ca)
            request = models.VerificationCodeRequest(certificate=pem(proof).decode())
            after = self.client.verify_certificate(
                **self._path(name), **_if_match(asked), request=request
            )
        return f"proved: CA {name}, {_status(after)}"

    def list_all(self) -> list[str]:
        """A line for each CA certificate."""
        with _azure_errors("list the CA certificates"):
            found = self.client.list(
                resource_group_name=self.resource_group, provisioning_service_name=self.dps
            )
        return [
            f"{one.name}, {one.properties.subject}, {_status(one)}" for one in found.value or []
        ]

    def delete(self, name: str) -> str:
        """Delete a CA certificate → a line about the result."""
        before = self._get(name)
        if before is None:
            return f"unchanged: there is no CA {name}"
        with _azure_errors(f"delete {name}"):
            self.client.delete(**self._path(name), **_if_match(before))
        return f"deleted: CA {name}"

    def _path(self, name: str) -> dict:
        return {
            "certificate_name": name,
            "resource_group_name": self.resource_group,
            "provisioning_service_name": self.dps,
        }

    def _get(self, name: str):
        """The certificate as DPS keeps it; None if there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with _azure_errors(f"read {name}"):
            try:
                return self.client.get(**self._path(name))
            except ResourceNotFoundError:
                return None


def _status(certificate) -> str:
    return "verified" if certificate.properties.is_verified else "not verified"


def _der(certificate) -> bytes:
    """A certificate of DPS's as DER: DPS keeps it in the form in which it was uploaded."""
    data = bytes(certificate.properties.certificate or b"")
    if b"-----BEGIN" in data:
        return der(x509.load_pem_x509_certificate(data))
    return data


def _if_match(certificate) -> dict:
    """Options of a call that changes a certificate only if nobody else has changed it."""
    from azure.core import MatchConditions

    if certificate is None:
        return {}
    return {"etag": certificate.etag, "match_condition": MatchConditions.IfNotModified}


@contextlib.contextmanager
def _azure_errors(action: str) -> Iterator[None]:
    """Turn the exceptions of Azure's library into ToolErrors."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    try:
        yield
    except (ServiceRequestError, ServiceResponseError) as error:
        raise ToolError(
            f"cannot reach Azure's management API ({_text(error)}): check the network and, for the"
            " simulator, --ca"
        ) from error
    except ClientAuthenticationError as error:
        if error.response is None:  # azure-identity found no credentials
            raise ToolError(
                "you are not signed in to Azure: run 'az login', or set AZURE_TENANT_ID,"
                " AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
            ) from error
        raise ToolError(
            f"Azure did not let you {action} ({_text(error)}): sign in again with 'az login' or,"
            " for the simulator, check the key of its connection string"
        ) from error
    except HttpResponseError as error:
        advice = ADVICE.get(error.status_code or 0, "fix the cause that it names")
        raise ToolError(f"DPS refused to {action} ({_text(error)}): {advice}") from error
    except AzureError as error:
        raise ToolError(f"cannot {action} ({_text(error)}): try again") from error


def _text(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", error)).split())[:QUOTE_LIMIT]


@contextlib.contextmanager
def open_instance(
    connection_string_file: Path | None,
    ca: Path | None,
    subscription: str | None = None,
    resource_group: str | None = None,
    dps: str | None = None,
) -> Iterator[CaCertificates]:
    """Open the CA certificates of a DPS instance.

    connection_string_file  the simulator's; None: sign in to Azure, and use the instance that
                            subscription, resource_group and dps name
    ca                      file with the root of the service's certificate; None: the well-known
                            roots
    Raises ToolError.
    """
    from azure.mgmt.iothubprovisioningservices import IotDpsClient

    options: dict = {"connection_verify": trusted_file(ca), "retry_total": RETRIES}
    credential: Any
    if connection_string_file:
        host, credential = _simulator(connection_string_file)
        options["base_url"] = f"https://{host}"
        subscription = resource_group = dps = "simulator"
    elif subscription and resource_group and dps:
        credential = _azure_credential()
    else:
        raise ToolError(
            "the DPS instance is not named: give --subscription, --resource-group and --dps"
        )
    with IotDpsClient(credential, subscription, **options) as client:
        yield CaCertificates(client.dps_certificate, str(resource_group), str(dps))


def _simulator(file: Path) -> tuple[str, KeyCredential]:
    """Host and credential of the simulator. Raises ToolError if the host is one of Azure's."""
    parts = connection_string.parse(connection_string.read(file))
    if AZURE_HOST in parts["HostName"].lower():
        raise ToolError(
            "a connection string is for the simulator's CA certificates: for Azure's, sign in,"
            " and give --subscription, --resource-group and --dps"
        )
    return parts["HostName"], KeyCredential(parts["SharedAccessKey"])


def _azure_credential():
    from azure.identity import DefaultAzureCredential

    # Without a handler, it logs its errors over many lines.
    logging.getLogger("azure.identity").addHandler(logging.NullHandler())
    return DefaultAzureCredential()
