"""microdps enroll: enroll a device, or all devices of an issuer, with DPS (its service API).

The connection string comes from the environment or a file, never from the command line, where
others could read it. What is enrolled already as it is asked for is left alone.
"""

import argparse
import copy
import os
import shlex
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import load_pem_x509_certificate

from host_tools import ToolError, authority, sas
from host_tools.certs import checked, load_certs, pem

API = "2021-10-01"
ENVIRONMENT = "MICRODPS_DPS_CONNECTION_STRING"
TIMEOUT_S = 30

# "" as a message of requests' is no help, and the host has been named.
CONNECTION_KEYS = ("HostName", "SharedAccessKeyName", "SharedAccessKey")

# Path of the service API → the key of an enrollment's ID, and of its certificates.
KINDS = {
    "enrollments": ("registrationId", "clientCertificates"),
    "enrollmentGroups": ("enrollmentGroupId", "signingCertificates"),
}
ALLOCATIONS = ("hashed", "geoLatency", "static")

# What becomes of a device that registers again and gets another hub.
REPROVISION = {
    "migrate": {"updateHubAssignment": True, "migrateDeviceData": True},
    "reset": {"updateHubAssignment": True, "migrateDeviceData": False},
    "never": {"updateHubAssignment": False, "migrateDeviceData": False},
}
AZ_REPROVISION = {
    "migrate": "reprovisionandmigratedata",
    "reset": "reprovisionandresetdata",
    "never": "never",
}
SIMULATED = (
    "--connection-string-file .simulator/connection-string.key.txt --ca .simulator/root.cert.pem"
)


def individual(
    service: "Service", registration_id: str, cert: Path, device_id: str | None, **options
) -> dict:
    """Enroll one device by its certificate → the enrollment as DPS keeps it.

    options  as record() takes them
    """
    made = record("enrollments", registration_id, cert=cert, device_id=device_id, **options)
    return service.put("enrollments", registration_id, made)


def group(service: "Service", group_id: str, cert: Path, **options) -> dict:
    """Enroll all devices whose certificates this one has signed → the enrollment group."""
    made = record("enrollmentGroups", group_id, cert=cert, **options)
    return service.put("enrollmentGroups", group_id, made)


def record(
    path: str,
    name: str,
    *,
    cert: Path | None = None,
    ca_name: str | None = None,
    device_id: str | None = None,
    disabled: bool = False,
    allocation: str | None = None,
    hubs: Sequence[str] = (),
    reprovision: str | None = None,
) -> dict:
    """An enrollment as the service API takes it.

    path        "enrollments" or "enrollmentGroups"
    ca_name     of an uploaded CA certificate, in the place of a group's own certificate
    allocation  one of ALLOCATIONS
    hubs        host names of the linked hubs that it may use; none: all of them
    reprovision one of REPROVISION

    Raises ToolError if the certificate cannot be read, or the ID is none.
    """
    id_key, certs_key = KINDS[path]
    if ca_name:
        x509: dict = {"caReferences": {"primary": ca_name}}
    else:
        certificate = pem(load_certs(cert or Path())[0]).decode()
        x509 = {certs_key: {"primary": {"certificate": certificate}}}
    made = {
        id_key: checked(name),
        "attestation": {"type": "x509", "x509": x509},
        "provisioningStatus": "disabled" if disabled else "enabled",
    }
    if device_id:
        made["deviceId"] = device_id
    if allocation:
        made["allocationPolicy"] = allocation
    if hubs:
        made["iotHubs"] = list(hubs)
    if reprovision:
        made["reprovisionPolicy"] = REPROVISION[reprovision]
    return made


def same(wanted: dict, kept: dict) -> bool:
    """Does DPS keep an enrollment as it is wanted? A certificate may be told by its thumbprint."""
    wanted, kept = copy.deepcopy(wanted), copy.deepcopy(kept)
    for one in (wanted, kept):
        x509 = one["attestation"].get("x509") or {}
        for pair in x509.values():
            held = (pair or {}).get("primary")
            if isinstance(held, dict):
                pair["primary"] = _thumbprint(held)
        one["attestation"]["x509"] = {key: pair for key, pair in x509.items() if pair}
    for pair in kept["attestation"]["x509"].values():
        if not pair.get("secondary"):
            pair.pop("secondary", None)
    wanted["attestation"].pop("tpm", None)
    return all(
        kept.get(key) == value for key, value in wanted.items() if key != "attestation"
    ) and (wanted["attestation"]["x509"] == kept["attestation"]["x509"])


def _thumbprint(held: dict) -> str:
    """SHA-256 of a certificate as the service API has it: itself, or what is told of it."""
    told = (held.get("info") or {}).get("sha256Thumbprint")
    if told:
        return told.upper()
    cert = load_pem_x509_certificate(held["certificate"].encode())
    return cert.fingerprint(hashes.SHA256()).hex().upper()


def parts(connection_string: str) -> dict[str, str]:
    """What a connection string consists of. Raises ToolError if a part is missing."""
    given = dict(
        part.split("=", 1) for part in connection_string.strip().split(";") if "=" in part
    )
    missing = [key for key in CONNECTION_KEYS if not given.get(key)]
    if missing:
        raise ToolError(
            f"the DPS connection string has no {missing[0]}: copy it whole from"
            " 'Shared access policies' of the DPS instance"
        )
    return given


class Service:
    """DPS's service API.

    connection_string  HostName=…;SharedAccessKeyName=…;SharedAccessKey=…
    ca                 file with the root of the service's certificate; None: the well-known ones
    Raises ToolError if the connection string lacks a part.
    """

    def __init__(self, connection_string: str, ca: Path | None = None):
        given = parts(connection_string)
        self._host, self._key_name, self._key = (given[key] for key in CONNECTION_KEYS)
        self._ca = ca

    def put(self, kind: str, name: str, record: dict, etag: str = "*") -> dict:
        """Create an enrollment, or replace the one that is there → what DPS keeps."""
        answer = self._ask("PUT", f"{kind}/{_quoted(name)}", record, {"If-Match": etag})
        if answer.status_code != 200:
            raise ToolError(
                f"DPS refused to enroll {name}: HTTP {answer.status_code}, {answer.text.strip()}"
            )
        kept = self._json(answer)
        if not isinstance(kept, dict) or "provisioningStatus" not in kept:
            raise self._no_dps()
        return kept

    def get(self, kind: str, name: str) -> dict | None:
        """What DPS keeps of an enrollment; None if there is none."""
        answer = self._ask("GET", f"{kind}/{_quoted(name)}")
        if answer.status_code == 404:
            return None
        self._check(answer, f"tell of {name}")
        kept = self._json(answer)
        if not isinstance(kept, dict):
            raise self._no_dps()
        return kept

    def delete(self, kind: str, name: str) -> None:
        self._check(self._ask("DELETE", f"{kind}/{_quoted(name)}"), f"delete {name}")

    def listed(self, kind: str) -> Iterator[dict]:
        """All enrollments of a kind, page by page."""
        token = ""
        while True:
            headers = {"x-ms-continuation": token} if token else {}
            query = {"query": "SELECT * FROM enrollments"}
            answer = self._ask("POST", f"{kind}/query", query, headers)
            self._check(answer, "list the enrollments")
            page = self._json(answer)
            if not isinstance(page, list):
                raise self._no_dps()
            yield from page
            token = answer.headers.get("x-ms-continuation", "")
            if not token:
                return

    def _ask(
        self, method: str, path: str, body: dict | None = None, headers: dict | None = None
    ) -> requests.Response:
        try:
            token = sas.token(self._host, self._key_name, self._key)
        except ValueError as error:
            raise ToolError(
                "the SharedAccessKey of the DPS connection string is not base64: copy it whole"
            ) from error
        try:
            return requests.request(
                method,
                f"https://{self._host}/{path}",
                params={"api-version": API},
                json=body,
                headers={"Authorization": token, **(headers or {})},
                timeout=TIMEOUT_S,
                verify=str(self._ca) if self._ca else True,
            )
        except (requests.RequestException, OSError) as error:
            raise ToolError(
                f"cannot reach DPS at {self._host} ({_reason(error)}): check the HostName of the"
                " connection string, the network and, for the simulator, --ca"
            ) from error

    def _check(self, answer: requests.Response, what: str) -> None:
        if answer.status_code not in (200, 204):
            raise ToolError(
                f"DPS refused to {what}: HTTP {answer.status_code}, {answer.text.strip()}"
            )

    def _json(self, answer: requests.Response):
        try:
            return answer.json()
        except ValueError as error:
            raise self._no_dps() from error

    def _no_dps(self) -> ToolError:
        return ToolError(
            f"{self._host} answered, but is no DPS: check the HostName of the connection string"
        )


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _reason(error: BaseException) -> str:
    """The innermost of a chain of exceptions, which says what happened."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def connection_string(file: Path | None) -> str:
    """From the file, else from the environment. Raises ToolError if there is none."""
    try:
        text = file.read_text() if file else os.environ.get(ENVIRONMENT, "")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"cannot read the connection string from {file}: {error}") from error
    if not text:
        raise ToolError(f"no DPS connection string: set {ENVIRONMENT}, or name a file with it")
    return text


def command(path: str, record: dict, cert: Path | None) -> str:
    """The Azure CLI's command that makes this enrollment, for a dry run."""
    single = path == "enrollments"
    words = ["az", "iot", "dps", "enrollment" if single else "enrollment-group", "create"]
    words += ["--dps-name", "DPS", "--resource-group", "GROUP", "--enrollment-id"]
    words += [record[KINDS[path][0]]]
    if single:
        words += ["--attestation-type", "x509"]
    reference = record["attestation"]["x509"].get("caReferences")
    if reference:
        words += ["--ca-name", reference["primary"]]
    else:
        words += ["--certificate-path", str(cert)]
    if "deviceId" in record:
        words += ["--device-id", record["deviceId"]]
    words += ["--provisioning-status", record["provisioningStatus"]]
    if "allocationPolicy" in record:
        words += ["--allocation-policy", record["allocationPolicy"].lower()]
    if "iotHubs" in record:
        words += ["--iot-hubs", " ".join(record["iotHubs"])]
    if "reprovisionPolicy" in record:
        (name,) = (n for n, policy in REPROVISION.items() if policy == record["reprovisionPolicy"])
        words += ["--reprovision-policy", AZ_REPROVISION[name]]
    return shlex.join(words)


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "enroll",
        help="enroll devices with DPS",
        description=__doc__,
        epilog="example: microdps enroll group group-01 --cert certs/intermediate.cert.pem",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, path, text, cert in (
        ("individual", "enrollments", "one device, by its own certificate", "device-01/cert.pem"),
        ("group", "enrollmentGroups", "all devices of an issuer", "intermediate.cert.pem"),
    ):
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Enroll {text}. An enrollment of that ID is replaced if it differs.",
            epilog=f"example: microdps enroll {name} device-01 --cert certs/{cert} {SIMULATED}",
        )
        kind.add_argument("id", help="registration ID" if name == "individual" else "group's ID")
        attestation = kind.add_mutually_exclusive_group(required=True)
        attestation.add_argument("--cert", type=Path, help="PEM or DER file")
        if name == "individual":
            kind.add_argument("--device-id", help="device ID in the hub (the registration ID)")
        else:
            attestation.add_argument("--ca-name", help="of an uploaded CA certificate instead")
        kind.add_argument("--disabled", action="store_true", help="nobody is let in by it")
        kind.add_argument("--allocation-policy", choices=ALLOCATIONS, help="(hashed)")
        kind.add_argument(
            "--iot-hub", action="append", default=[], metavar="HOST", help="a linked hub to use"
        )
        kind.add_argument("--reprovision-policy", choices=REPROVISION, help="(migrate)")
        kind.add_argument(
            "--dry-run", action="store_true", help="print the Azure CLI's command, change nothing"
        )
        add_service(kind)
        kind.set_defaults(function=_run, path=path)
    kind = kinds.add_parser(
        "list",
        help="what is enrolled",
        description="List enrollments and enrollment groups.",
        epilog=f"example: microdps enroll list {SIMULATED}",
    )
    add_service(kind)
    kind.set_defaults(function=_list)
    kind = kinds.add_parser(
        "delete",
        help="an enrollment or a group",
        description="Delete an enrollment. A hub that it has led to keeps its devices.",
        epilog=f"example: microdps enroll delete individual device-01 {SIMULATED}",
    )
    kind.add_argument("kind", choices=("individual", "group"))
    kind.add_argument("id", help="registration ID, or group's ID")
    kind.add_argument(
        "--dry-run", action="store_true", help="print the Azure CLI's command, change nothing"
    )
    add_service(kind)
    kind.set_defaults(function=_delete)
    authority.add_parser(kinds)


def add_service(kind) -> None:
    """The arguments that say which DPS it is."""
    kind.add_argument("--connection-string-file", type=Path, help=f"instead of ${ENVIRONMENT}")
    kind.add_argument("--ca", type=Path, help="root of the service's certificate (PEM)")


def _service(args: argparse.Namespace) -> Service:
    return Service(connection_string(args.connection_string_file), args.ca)


def _run(args: argparse.Namespace) -> None:
    wanted = record(
        args.path,
        args.id,
        cert=args.cert,
        ca_name=getattr(args, "ca_name", None),
        device_id=getattr(args, "device_id", None),
        disabled=args.disabled,
        allocation=args.allocation_policy,
        hubs=args.iot_hub,
        reprovision=args.reprovision_policy,
    )
    if args.dry_run:
        print(command(args.path, wanted, args.cert))
        return
    service = _service(args)
    before = service.get(args.path, args.id)
    kind = "individual" if args.path == "enrollments" else "group"
    if before and same(wanted, before):
        print(f"unchanged: {kind} {args.id}, {before['provisioningStatus']}")
        return
    kept = service.put(args.path, args.id, wanted, before["etag"] if before else "*")
    what = "changed" if before else "enrolled"
    print(f"{what}: {kind} {args.id}, {kept['provisioningStatus']}")


def _list(args: argparse.Namespace) -> None:
    service = _service(args)
    for path, kind in (("enrollments", "individual"), ("enrollmentGroups", "group")):
        for one in service.listed(path):
            print(f"{kind:<10} {one[KINDS[path][0]]}, {one['provisioningStatus']}")


def _delete(args: argparse.Namespace) -> None:
    path = "enrollments" if args.kind == "individual" else "enrollmentGroups"
    if args.dry_run:
        noun = "enrollment" if args.kind == "individual" else "enrollment-group"
        print(
            f"az iot dps {noun} delete --dps-name DPS --resource-group GROUP"
            f" --enrollment-id {shlex.quote(args.id)}"
        )
        return
    service = _service(args)
    if service.get(path, args.id) is None:
        print(f"unchanged: there is no {args.kind} {args.id}")
        return
    service.delete(path, args.id)
    print(f"deleted: {args.kind} {args.id}")
