"""microdps enroll: enroll a device, or all devices of an issuer, with DPS (its service API).

The connection string comes from the environment or a file, never from the command line, where
others could read it.
"""

import argparse
import os
import urllib.parse
from pathlib import Path

import requests

from host_tools import ToolError, sas
from host_tools.certs import checked, load_certs, pem

API = "2021-10-01"
ENVIRONMENT = "MICRODPS_DPS_CONNECTION_STRING"
TIMEOUT_S = 30

# "" as a message of requests' is no help, and the host has been named.
CONNECTION_KEYS = ("HostName", "SharedAccessKeyName", "SharedAccessKey")


def individual(
    service: "Service", registration_id: str, cert: Path, device_id: str | None
) -> dict:
    """Enroll one device by its certificate → the enrollment as DPS keeps it."""
    record = {
        "registrationId": checked(registration_id),
        "attestation": _attestation("clientCertificates", cert),
        "provisioningStatus": "enabled",
    }
    if device_id:
        record["deviceId"] = device_id
    return service.put("enrollments", registration_id, record)


def group(service: "Service", group_id: str, cert: Path) -> dict:
    """Enroll all devices whose certificates this one has signed → the enrollment group."""
    record = {
        "enrollmentGroupId": checked(group_id),
        "attestation": _attestation("signingCertificates", cert),
        "provisioningStatus": "enabled",
    }
    return service.put("enrollmentGroups", group_id, record)


def _attestation(kind: str, cert: Path) -> dict:
    certificate = pem(load_certs(cert)[0]).decode()
    return {"type": "x509", "x509": {kind: {"primary": {"certificate": certificate}}}}


class Service:
    """DPS's service API.

    connection_string  HostName=…;SharedAccessKeyName=…;SharedAccessKey=…
    ca                 file with the root of the service's certificate; None: the well-known ones
    Raises ToolError if the connection string lacks a part.
    """

    def __init__(self, connection_string: str, ca: Path | None = None):
        parts = dict(
            part.split("=", 1) for part in connection_string.strip().split(";") if "=" in part
        )
        missing = [key for key in CONNECTION_KEYS if not parts.get(key)]
        if missing:
            raise ToolError(
                f"the DPS connection string has no {missing[0]}: copy it whole from"
                " 'Shared access policies' of the DPS instance"
            )
        self._host, self._key_name, self._key = (parts[key] for key in CONNECTION_KEYS)
        self._ca = ca

    def put(self, kind: str, name: str, record: dict) -> dict:
        """Create an enrollment, or replace the one that is there → what DPS keeps."""
        url = f"https://{self._host}/{kind}/{urllib.parse.quote(name, safe='')}"
        try:
            headers = {
                "Authorization": sas.token(self._host, self._key_name, self._key),
                "If-Match": "*",
            }
        except ValueError as error:
            raise ToolError(
                "the SharedAccessKey of the DPS connection string is not base64: copy it whole"
            ) from error
        try:
            answer = requests.put(
                url,
                params={"api-version": API},
                json=record,
                headers=headers,
                timeout=TIMEOUT_S,
                verify=str(self._ca) if self._ca else True,
            )
        except (requests.RequestException, OSError) as error:
            raise ToolError(
                f"cannot reach DPS at {self._host} ({_reason(error)}): check the HostName of the"
                " connection string, the network and, for the simulator, --ca"
            ) from error
        if answer.status_code != 200:
            raise ToolError(
                f"DPS refused to enroll {name}: HTTP {answer.status_code}, {answer.text.strip()}"
            )
        try:
            kept = answer.json()
            kept["provisioningStatus"]
        except (ValueError, LookupError, TypeError) as error:
            raise ToolError(
                f"{self._host} answered, but is no DPS: check the HostName of the connection"
                " string"
            ) from error
        return kept


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


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "enroll",
        help="enroll devices with DPS",
        description=__doc__,
        epilog="example: microdps enroll group group-01 --cert certs/intermediate.cert.pem",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, text, cert in (
        ("individual", "one device, by its own certificate", "certs/device-01/cert.pem"),
        ("group", "all devices of an issuer", "certs/intermediate.cert.pem"),
    ):
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Enroll {text}. An enrollment of that ID is replaced.",
            epilog=f"example: microdps enroll {name} device-01 --cert {cert}"
            " --connection-string-file .simulator/connection-string.key.txt"
            " --ca .simulator/root.cert.pem",
        )
        kind.add_argument("id", help="registration ID" if name == "individual" else "group's ID")
        kind.add_argument("--cert", type=Path, required=True, help="PEM or DER file")
        if name == "individual":
            kind.add_argument("--device-id", help="device ID in the hub (the registration ID)")
        kind.add_argument("--connection-string-file", type=Path, help=f"instead of ${ENVIRONMENT}")
        kind.add_argument("--ca", type=Path, help="root of the service's certificate (PEM)")
        kind.set_defaults(function=_run, kind=name)


def _run(args: argparse.Namespace) -> None:
    service = Service(connection_string(args.connection_string_file), args.ca)
    if args.kind == "individual":
        record = individual(service, args.id, args.cert, args.device_id)
    else:
        record = group(service, args.id, args.cert)
    print(f"enrolled: {args.kind} {args.id}, {record['provisioningStatus']}")
