"""microdps enroll ca: CA certificates of a DPS instance, by Azure's management API.

Signed in as azure-identity finds it: the environment, a managed identity, the Azure CLI's login.
The simulator takes the key of its connection string.
"""

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools import ToolError, certs

# So long a token of the simulator's is good.
FOREVER = 2**31


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

        (content, *_) = certs.load_certs(cert)
        before = self._get(name)
        there = before is not None and _held(before) == certs.der(content)
        if there and (before.properties.is_verified or not verified):
            return f"unchanged: CA {name}, {_state(before)}"
        properties = models.CertificateProperties(
            certificate=certs.pem(content), is_verified=verified or None
        )
        with _told(f"upload {cert}"):
            kept = self.client.create_or_update(
                **self._where(name),
                certificate_description=models.CertificateResponse(properties=properties),
                **_match(before),
            )
        return f"uploaded: CA {name}, {_state(kept)}"

    def prove(self, name: str, cert: Path, key: Path, passphrase: bytes | None) -> str:
        """Prove possession of the CA's key → what was done. Raises ToolError."""
        from azure.mgmt.iothubprovisioningservices import models

        authority = certs.load_pair(cert, key, passphrase)
        before = self._get(name)
        if before is None:
            raise ToolError(f"there is no CA {name}: upload it first, with --cert")
        if before.properties.is_verified:
            return f"unchanged: CA {name}, verified"
        with _told(f"prove possession of {name}"):
            asked = self.client.generate_verification_code(**self._where(name), **_match(before))
            proof = certs.issue(asked.properties.verification_code, authority, days=2)
            request = models.VerificationCodeRequest(certificate=certs.pem(proof.cert).decode())
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
    from cryptography import x509

    data = bytes(kept.properties.certificate or b"")
    if b"-----BEGIN" in data:
        return certs.der(x509.load_pem_x509_certificate(data))
    return data


def _match(kept) -> dict:
    from azure.core import MatchConditions

    if kept is None:
        return {}
    return {"etag": kept.etag, "match_condition": MatchConditions.IfNotModified}


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What Azure's library raises becomes one sentence."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        text = " ".join(str(getattr(error, "message", error)).split())
        raise ToolError(f"DPS refused to {what}: {text}") from error


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Instance]:
    """The instance that the arguments name. Raises ToolError."""
    from azure.mgmt.iothubprovisioningservices import IotDpsClient

    from host_tools.enroll import connection_string, parts

    if args.connection_string_file:
        given = parts(connection_string(args.connection_string_file))
        options: dict = {"base_url": f"https://{given['HostName']}", "retry_total": 0}
        credential: Any = KeyCredential(given["SharedAccessKey"])
        names = "simulator", "simulator", "simulator"
    else:
        from azure.identity import DefaultAzureCredential

        names = args.subscription, args.resource_group, args.dps
        if not all(names):
            raise ToolError("say which instance it is: --subscription, --resource-group and --dps")
        options, credential = {}, DefaultAzureCredential()
    verify = str(args.ca) if args.ca else True
    with IotDpsClient(credential, names[0], connection_verify=verify, **options) as client:
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
    lines = [shlex.join([*words, "create", *named, "--path", str(args.cert)])]
    lines[0] += " --verified true" if args.verified else ""
    if args.key:
        lines.append(shlex.join([*words, "generate-verification-code", *named, "--etag", "ETAG"]))
        lines.append(shlex.join([*words, "verify", *named, "--path", "PROOF", "--etag", "ETAG"]))
    return "\n".join(lines)


def add_parser(kinds) -> None:
    from host_tools import enroll

    kind = kinds.add_parser(
        "ca",
        help="CA certificates, for groups that refer to one",
        description="Upload, prove, list or delete CA certificates of a DPS instance, by Azure's"
        " management API.",
        epilog="example: microdps enroll ca my-root --cert certs/root.cert.pem --key"
        " certs/root.key.pem --subscription SUBSCRIPTION --resource-group GROUP --dps DPS",
    )
    kind.add_argument("name", nargs="?", help="of the certificate in DPS")
    kind.add_argument("--cert", type=Path, help="PEM or DER file of the CA's certificate")
    kind.add_argument("--verified", action="store_true", help="on your word, without a proof")
    kind.add_argument("--key", type=Path, help="of the CA: proves its possession")
    kind.add_argument(
        "--passphrase-file", type=Path, help=f"of the key, instead of ${certs.PASSPHRASE}"
    )
    kind.add_argument("--list", action="store_true", help="list them")
    kind.add_argument("--delete", action="store_true", help="delete the one of that name")
    kind.add_argument("--subscription", help="Azure subscription's ID")
    kind.add_argument("--resource-group", help="of the DPS instance")
    kind.add_argument("--dps", help="name of the DPS instance")
    kind.add_argument(
        "--dry-run", action="store_true", help="print the Azure CLI's commands, change nothing"
    )
    enroll.add_service(kind)
    kind.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    if not args.list and not args.name:
        raise ToolError("name the CA certificate, or give --list")
    if not (args.list or args.delete or args.cert):
        raise ToolError("give the CA's certificate with --cert")
    if args.dry_run:
        print(command(args))
        return
    with opened(args) as instance:
        if args.list:
            print("\n".join(instance.listed()) or "there are no CA certificates")
        elif args.delete:
            print(instance.delete(args.name))
        else:
            print(instance.upload(args.name, args.cert, args.verified))
            if args.key:
                secret = certs.read_passphrase(args.passphrase_file)
                print(instance.prove(args.name, args.cert, args.key, secret))
