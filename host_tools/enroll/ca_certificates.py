"""microdps enroll ca: CA certificates of a DPS instance, by Azure's management API.

Signed in as azure-identity finds it: the environment, a managed identity, the Azure CLI's login.
The simulator takes the key of its connection string.
"""

import argparse
import contextlib
import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from .. import ToolError
from ..certs import encoding, keys
from ..certs.ca import proof_of_possession
from ..certs.making import CertAndKey
from ..certs.reading import load_cert_and_key, load_certs
from . import service_api as enroll

# Hosts of Azure's own DPS instances, in whatever cloud: none of them gets the key as a token.
AZURE = ".azure-devices-provisioning."

# So long a token of the simulator's is good.
FOREVER = 2**31

RETRIES = 2


class KeyCredential:
    """The simulator's token: the key of its connection string."""

    def __init__(self, key: str):
        self._key = key

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        return AccessToken(self._key, FOREVER)


@dataclass
class Instance:
    """A DPS instance's CA certificates.

    client  IotDpsClient's dps_certificate
    """

    client: Any
    resource_group: str
    name: str

    def upload(self, name: str, cert: Path, verified: bool) -> str:
        """Upload a certificate, if it is not there already → what was done. Raises ToolError."""
        from azure.mgmt.iothubprovisioningservices import models

        (content, *_) = load_certs(cert)
        before = self._get(name)
        there = before is not None and _held(before) == encoding.der(content)
        if there and (before.properties.is_verified or not verified):
            return f"unchanged: CA {name}, {_state(before)}"
        properties = models.CertificateProperties(
            certificate=encoding.pem(content), is_verified=verified or None
        )
        with _told(f"upload {cert}"):
            kept = self.client.create_or_update(
                **self._where(name),
                certificate_description=models.CertificateResponse(properties=properties),
                **_match(before),
            )
        return f"uploaded: CA {name}, {_state(kept)}"

    def prove(self, name: str, key: keys.PrivateKey) -> str:
        """Prove possession of a CA's key → what was done. Raises ToolError."""
        from azure.mgmt.iothubprovisioningservices import models

        before = self._get(name)
        if before is None:
            raise ToolError(f"there is no CA {name}: upload it first, with --cert")
        authority = CertAndKey(x509.load_der_x509_certificate(_held(before)), key)
        if authority.cert.public_key() != key.public_key():
            raise ToolError(f"that is not the key of CA {name}: give the one that belongs to it")
        if before.properties.is_verified:
            return f"unchanged: CA {name}, verified"
        with _told(f"prove possession of {name}"):
            asked = self.client.generate_verification_code(**self._where(name), **_match(before))
            proof = proof_of_possession(asked.properties.verification_code, authority)
            request = models.VerificationCodeRequest(certificate=encoding.pem(proof).decode())
            kept = self.client.verify_certificate(
                **self._where(name), **_match(asked), request=request
            )
        return f"proved: CA {name}, {_state(kept)}"

    def listed(self) -> list[str]:
        with _told("list the CA certificates"):
            found = self.client.list(
                resource_group_name=self.resource_group, provisioning_service_name=self.name
            )
        return [
            f"{one.name}, {one.properties.subject}, {_state(one)}" for one in found.value or []
        ]

    def delete(self, name: str) -> str:
        before = self._get(name)
        if before is None:
            return f"unchanged: there is no CA {name}"
        with _told(f"delete {name}"):
            self.client.delete(**self._where(name), **_match(before))
        return f"deleted: CA {name}"

    def _where(self, name: str) -> dict:
        return {
            "certificate_name": name,
            "resource_group_name": self.resource_group,
            "provisioning_service_name": self.name,
        }

    def _get(self, name: str):
        from azure.core.exceptions import ResourceNotFoundError

        with _told(f"tell of {name}"):
            try:
                return self.client.get(**self._where(name))
            except ResourceNotFoundError:
                return None


def _state(kept) -> str:
    return "verified" if kept.properties.is_verified else "not verified"


def _held(kept) -> bytes:
    """The certificate that is kept, as DER whatever it was uploaded as."""
    data = bytes(kept.properties.certificate or b"")
    if b"-----BEGIN" in data:
        return encoding.der(x509.load_pem_x509_certificate(data))
    return data


def _match(kept) -> dict:
    from azure.core import MatchConditions

    if kept is None:
        return {}
    return {"etag": kept.etag, "match_condition": MatchConditions.IfNotModified}


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What Azure's library raises becomes one sentence."""
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
        if error.response is None:  # azure-identity found nobody
            raise ToolError(
                "you are not signed in to Azure: run 'az login', or set AZURE_TENANT_ID,"
                " AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
            ) from error
        raise ToolError(
            f"Azure did not let you {what} ({_text(error)}): sign in anew with 'az login' or, for"
            " the simulator, check the key of its connection string"
        ) from error
    except HttpResponseError as error:
        advice = enroll.ADVICE.get(error.status_code or 0, "change what it names")
        raise ToolError(f"DPS refused to {what} ({_text(error)}): {advice}") from error
    except AzureError as error:
        raise ToolError(f"cannot {what} ({_text(error)}): try it again") from error


def _text(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", error)).split())[: enroll.QUOTE]


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Instance]:
    """The instance that the arguments name. Raises ToolError."""
    from azure.mgmt.iothubprovisioningservices import IotDpsClient

    options: dict = {}
    if args.connection_string_file:
        given = enroll.parts(enroll.connection_string(args.connection_string_file))
        if AZURE in given["HostName"].lower():
            raise ToolError(
                "a connection string is for the simulator's CA certificates: for Azure's, sign in,"
                " and give --subscription, --resource-group and --dps"
            )
        options["base_url"] = f"https://{given['HostName']}"
        credential: Any = KeyCredential(given["SharedAccessKey"])
        names = "simulator", "simulator", "simulator"
    else:
        from azure.identity import DefaultAzureCredential

        names = args.subscription, args.resource_group, args.dps
        if not all(names):
            raise ToolError("say which instance it is: --subscription, --resource-group and --dps")
        # It logs what it raises, over many lines.
        logging.getLogger("azure.identity").addHandler(logging.NullHandler())
        credential = DefaultAzureCredential()
    verify = str(args.ca) if args.ca else True
    options |= {"connection_verify": verify, "retry_total": RETRIES}
    with IotDpsClient(credential, names[0], **options) as client:
        yield Instance(client.dps_certificate, *names[1:])


def command(args: argparse.Namespace) -> str:
    """The Azure CLI's commands that do the same, for a dry run."""
    where = ["--dps-name", args.dps or "DPS", "--resource-group", args.resource_group or "GROUP"]
    words = ["az", "iot", "dps", "certificate"]
    if args.list:
        return shlex.join([*words, "list", *where])
    named = [*where, "--certificate-name", args.name or "NAME"]
    if args.delete:
        return shlex.join([*words, "delete", *named, "--etag", "ETAG"])
    lines = []
    if args.cert:
        verified = ["--verified", "true"] if args.verified else []
        lines.append(shlex.join([*words, "create", *named, "--path", str(args.cert), *verified]))
    if args.prove:
        lines.append(shlex.join([*words, "generate-verification-code", *named, "--etag", "ETAG"]))
        lines.append(shlex.join([*words, "verify", *named, "--path", "PROOF", "--etag", "ETAG"]))
    return "\n".join(lines)


def add_parser(kinds) -> argparse.ArgumentParser:
    """The verb's parser, which lacks the arguments that say which simulator it is."""
    kind = kinds.add_parser(
        "ca",
        help="CA certificates, for groups that refer to one",
        description="Upload, prove, list or delete CA certificates of a DPS instance, by Azure's"
        " management API. You are signed in as azure-identity finds it: by the environment, a"
        " managed identity, 'az login'. For the simulator, give --connection-string-file instead.",
        epilog="example: microdps enroll ca my-root --cert certs/root.cert.pem --prove --key"
        " certs/root.key.pem --subscription SUBSCRIPTION --resource-group GROUP --dps DPS",
    )
    kind.add_argument("name", nargs="?", help="of the certificate in DPS")
    kind.add_argument("--cert", type=Path, metavar="FILE", help="upload it, PEM or DER")
    what = kind.add_mutually_exclusive_group()
    what.add_argument("--verified", action="store_true", help="on your word, without a proof")
    what.add_argument("--prove", action="store_true", help="prove that you have its --key")
    what.add_argument("--list", action="store_true", help="list them")
    what.add_argument("--delete", action="store_true", help="delete the one of that name")
    kind.add_argument("--key", type=Path, metavar="FILE", help="the CA's private key")
    kind.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"of an encrypted key, instead of ${keys.PASSPHRASE_VARIABLE}",
    )
    kind.add_argument("--subscription", help="Azure subscription's ID")
    kind.add_argument("--resource-group", help="of the DPS instance")
    kind.add_argument("--dps", help="name of the DPS instance")
    kind.add_argument(
        "--dry-run", action="store_true", help="print the Azure CLI's commands, change nothing"
    )
    kind.set_defaults(function=_run)
    return kind


def _run(args: argparse.Namespace) -> None:
    if not args.list and not args.name:
        raise ToolError("name the CA certificate, or give --list")
    if args.prove != bool(args.key):
        raise ToolError("a proof needs both --prove and the CA's --key: give the other one too")
    if not (args.list or args.delete or args.cert or args.prove):
        raise ToolError("say what to do: --cert, --prove, --list or --delete")
    if args.dry_run:
        print(command(args))
        return
    key = _key(args) if args.prove else None
    with opened(args) as instance:
        if args.list:
            print("\n".join(instance.listed()) or "there are no CA certificates")
        elif args.delete:
            print(instance.delete(args.name))
        else:
            if args.cert:
                print(instance.upload(args.name, args.cert, args.verified))
            if key:
                print(instance.prove(args.name, key))


def _key(args: argparse.Namespace) -> keys.PrivateKey:
    """The CA's key, which belongs to its certificate if that is given. Raises ToolError."""
    passphrase = keys.read_passphrase(args.passphrase_file)
    if args.cert:
        return load_cert_and_key(args.cert, args.key, passphrase).key
    return keys.load_key(args.key, passphrase)
