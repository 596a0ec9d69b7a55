"""Enrolling devices, one by one or all of an issuer, with DPS: its service API.

The connection string comes from the environment or a file, never from the command line, where
others could read it.

Source: Azure REST reference, DPS service 2021-10-01.
"""

import base64
import os
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .. import ToolError
from ..certs import encoding
from ..certs.reading import load_certs
from ..certs.registration_id import check_registration_id
from . import sas

API = "2021-10-01"
ENVIRONMENT = "MICRODPS_DPS_CONNECTION_STRING"
TIMEOUT_S = 30

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

# What DPS adds to an enrollment, and takes from nobody.
ADDED = ("etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState")

# What to do about an answer's status.
ADVICE = {
    401: "check the key of the connection string, and what its policy permits",
    403: "check what the policy of the connection string permits",
    412: "somebody has changed it meanwhile, so run this again",
    429: "wait a minute, and run this again",
}

# The most of an answer's text that a message quotes, in characters.
QUOTE = 300


def individual(
    service: "Service", registration_id: str, cert: Path, device_id: str | None, **options
) -> dict:
    """Enroll one device by its certificate, whatever was there → the enrollment as DPS keeps it.

    options  as record() takes them
    Raises ToolError.
    """
    made = record("enrollments", registration_id, cert=cert, device_id=device_id, **options)
    return service.put("enrollments", registration_id, made)


def group(service: "Service", group_id: str, cert: Path, **options) -> dict:
    """Enroll all devices whose certificates this one has signed → the enrollment group. Raises
    ToolError."""
    made = record("enrollmentGroups", group_id, cert=cert, **options)
    return service.put("enrollmentGroups", group_id, made)


def ensure(service: "Service", path: str, wanted: dict) -> tuple[str, dict]:
    """Have DPS keep an enrollment as it is wanted → "enrolled", "changed" or "unchanged", and what
    it keeps. What is not said of one that is there stays as it is.

    Raises ToolError, also if somebody else changes it at the same time.
    """
    name = wanted[KINDS[path][0]]
    before = service.get(path, name)
    if before is None:
        return "enrolled", service.put(path, name, wanted, None)
    after = merged(before, wanted)
    if comparable(after) == comparable(before):
        return "unchanged", before
    return "changed", service.put(path, name, after, before.get("etag", "*"))


def record(
    path: str,
    name: str,
    *,
    cert: Path | None = None,
    secondary: Path | None = None,
    ca_name: str | None = None,
    device_id: str | None = None,
    disabled: bool = False,
    allocation: str | None = None,
    hubs: Sequence[str] = (),
    reprovision: str | None = None,
) -> dict:
    """An enrollment as the service API takes it.

    path        "enrollments" or "enrollmentGroups"
    secondary   the certificate that follows the first, or goes before it
    ca_name     of an uploaded CA certificate, in the place of a group's own certificate
    device_id   in the hub; None: the registration ID
    allocation  one of ALLOCATIONS
    hubs        host names of the linked hubs that it may use; none: all of them
    reprovision one of REPROVISION

    Raises ToolError if a certificate cannot be read, or the ID is none.
    """
    id_key, certs_key = KINDS[path]
    if ca_name:
        attestation = {"type": "x509", "x509": {"caReferences": {"primary": ca_name}}}
    else:
        attestation = _attestation(certs_key, cert or Path(), secondary)
    made = {
        id_key: check_registration_id(name),
        "attestation": attestation,
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


def _attestation(kind: str, cert: Path, secondary: Path | None = None) -> dict:
    pair = {"primary": {"certificate": encoding.pem(load_certs(cert)[0]).decode()}}
    if secondary:
        pair["secondary"] = {"certificate": encoding.pem(load_certs(secondary)[0]).decode()}
    return {"type": "x509", "x509": {kind: pair}}


def merged(before: dict, wanted: dict) -> dict:
    """An enrollment that is there, changed as it is wanted; its secondary certificate stays if
    none is given, unless it has become the primary one."""
    kept = {key: value for key, value in before.items() if key not in ADDED}
    ((kind, pair),) = wanted["attestation"]["x509"].items()
    there = ((kept.get("attestation") or {}).get("x509") or {}).get(kind) or {}
    pair = {which: value for which, value in there.items() if value} | pair
    if len(pair) > 1 and _mark(pair["primary"]) == _mark(pair["secondary"]):
        del pair["secondary"]
    return {**kept, **wanted, "attestation": {"type": "x509", "x509": {kind: pair}}}


def comparable(enrollment: dict) -> dict:
    """An enrollment without what DPS adds to it; a certificate becomes its thumbprint."""
    kept = {key: value for key, value in enrollment.items() if key not in ADDED}
    held = (kept.pop("attestation", None) or {}).get("x509") or {}
    marks = {
        (kind, which): _mark(value)
        for kind, pair in held.items()
        for which, value in (pair or {}).items()
        if value
    }
    return {**kept, "certificates": marks}


def _mark(held) -> str:
    """SHA-256 thumbprint of a certificate as the service API has it: by what is told of it, or by
    itself, as PEM or base64. The name of a CA certificate stays. "" for what cannot be read."""
    if isinstance(held, str):
        return held
    told = (held.get("info") or {}).get("sha256Thumbprint")
    if told:
        return told.upper()
    data = (held.get("certificate") or "").encode()
    try:
        if b"-----BEGIN" not in data:
            data = base64.b64decode(data)
        load = x509.load_der_x509_certificate
        if b"-----BEGIN" in data:
            load = x509.load_pem_x509_certificate
        return load(data).fingerprint(hashes.SHA256()).hex().upper()
    except ValueError:
        return ""


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

    def put(self, kind: str, name: str, record: dict, etag: str | None = "*") -> dict:
        """Create an enrollment, or replace the one that is there → what DPS keeps.

        etag  of the one to replace; "*": whatever is there; None: there must be none
        """
        headers = {"If-Match": etag} if etag else None
        answer = self._ask("PUT", f"{kind}/{_quoted(name)}", record, headers)
        kept = self._checked(answer, f"enroll {name}")
        if not isinstance(kept, dict) or "provisioningStatus" not in kept:
            raise self._no_dps()
        return kept

    def get(self, kind: str, name: str) -> dict | None:
        """What DPS keeps of an enrollment; None if there is none."""
        answer = self._ask("GET", f"{kind}/{_quoted(name)}")
        if answer.status_code == 404:
            return None
        kept = self._checked(answer, f"tell of {name}")
        if not isinstance(kept, dict) or "provisioningStatus" not in kept:
            raise self._no_dps()
        return kept

    def delete(self, kind: str, name: str, etag: str = "*") -> None:
        answer = self._ask("DELETE", f"{kind}/{_quoted(name)}", headers={"If-Match": etag})
        self._checked(answer, f"delete {name}")

    def listed(self, kind: str) -> Iterator[dict]:
        """All enrollments of a kind, page by page."""
        token = None
        while token != "":
            headers = {"x-ms-continuation": token} if token else None
            query = {"query": "SELECT * FROM enrollments"}
            answer = self._ask("POST", f"{kind}/query", query, headers)
            page = self._checked(answer, "list the enrollments")
            if not isinstance(page, list):
                raise self._no_dps()
            yield from page
            token = answer.headers.get("x-ms-continuation", "")

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

    def _checked(self, answer: requests.Response, what: str):
        """The JSON of an answer; None if it has none. Raises ToolError if it is a refusal."""
        if answer.status_code not in (200, 204):
            text = " ".join(answer.text.split())[:QUOTE]
            advice = ADVICE.get(answer.status_code, "change what it names, or see 'explain'")
            raise ToolError(f"DPS refused to {what}: HTTP {answer.status_code}, {text}: {advice}")
        if answer.status_code == 204:
            return None
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
    """The innermost of a chain of exceptions, which says what happened; requests' own do not."""
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
