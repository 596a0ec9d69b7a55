"""Enrollments as DPS's service API has them: build, compare, and bring DPS up to date.

Source: Azure REST reference, DPS service 2021-10-01.
"""

import base64
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .. import ToolError
from ..certs import rules
from ..certs.encoding import pem
from ..certs.reading import load_certs
from ..certs.registration_id import check_registration_id
from .policies import KINDS, REPROVISION
from .service_api import ServiceApi

# Keys that DPS adds to an enrollment. It accepts them from nobody.
ADDED_BY_DPS = ("etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState")


def enroll_individual(
    service: ServiceApi, registration_id: str, cert: Path, device_id: str | None, **options
) -> dict:
    """Enroll one device with its certificate, and replace its enrollment if there is one.

    options  as enrollment_record() takes them
    Returns the enrollment, as DPS keeps it. Raises ToolError.
    """
    record = enrollment_record(
        "enrollments", registration_id, cert=cert, device_id=device_id, **options
    )
    return service.put("enrollments", registration_id, record)


def enroll_group(service: ServiceApi, group_id: str, cert: Path, **options) -> dict:
    """Enroll all devices below a CA certificate, and replace the group if there is one.

    Returns the enrollment group, as DPS keeps it. Raises ToolError.
    """
    record = enrollment_record("enrollmentGroups", group_id, cert=cert, **options)
    return service.put("enrollmentGroups", group_id, record)


def ensure(service: ServiceApi, path: str, wanted: dict) -> tuple[str, dict]:
    """Create an enrollment, or change it where it differs. It keeps the keys that wanted lacks.

    Returns "enrolled", "changed" or "unchanged", and the enrollment, as DPS keeps it.
    Raises ToolError, also if somebody else changes the enrollment at the same time.
    """
    name = wanted[KINDS[path][0]]
    before = service.get(path, name)
    if before is None:
        return "enrolled", service.put(path, name, wanted, None)
    after = merged(before, wanted)
    if comparable(after) == comparable(before):
        return "unchanged", before
    return "changed", service.put(path, name, after, before.get("etag", "*"))


def enrollment_record(
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
    """An enrollment for the service API.

    path         "enrollments" or "enrollmentGroups"
    cert         file with the certificate of the device, or of the group's CA
    secondary    file with a second certificate that is accepted as well
    ca_name      name of an uploaded CA certificate, instead of cert
    device_id    in the hub; None: the registration ID
    allocation   one of ALLOCATIONS
    hubs         host names of the linked hubs that DPS may choose; none: all of them
    reprovision  one of REPROVISION

    Raises ToolError if a certificate cannot be read, or DPS would refuse its devices; or if an ID
    is invalid.
    """
    _check_request(path, name, [file for file in (cert, secondary) if file], device_id)
    record = {
        KINDS[path][0]: name,
        "attestation": attestation(path, cert, secondary, ca_name),
        "provisioningStatus": "disabled" if disabled else "enabled",
    }
    optional = {
        "deviceId": device_id,
        "allocationPolicy": allocation,
        "iotHubs": list(hubs),
        "reprovisionPolicy": REPROVISION[reprovision] if reprovision else None,
    }
    return record | {key: value for key, value in optional.items() if value}


def enrolled_cert(file: Path) -> x509.Certificate:
    """The certificate of a file that is enrolled: the lowest one of a chain. Raises ToolError."""
    return rules.lowest(load_certs(file))


def _check_request(path: str, name: str, files: list[Path], device_id: str | None) -> None:
    """Raises ToolError if DPS or the hub would refuse the devices of an enrollment."""
    check_registration_id(name)
    problems = [rules.device_id_problem(device_id)] if device_id else []
    for cert in map(enrolled_cert, files):
        if path == "enrollments":
            problems += [rules.name_problem(cert, name), rules.leaf_problem(cert)]
        else:
            problems.append(rules.ca_problem(cert))
    for problem in filter(None, problems):
        raise ToolError(problem)


def attestation(
    path: str, cert: Path | None, secondary: Path | None = None, ca_name: str | None = None
) -> dict:
    """The attestation of an enrollment. Raises ToolError if a certificate cannot be read."""
    if ca_name:
        return {"type": "x509", "x509": {"caReferences": {"primary": ca_name}}}
    certs = {"primary": {"certificate": pem(enrolled_cert(cert or Path())).decode()}}
    if secondary:
        certs["secondary"] = {"certificate": pem(enrolled_cert(secondary)).decode()}
    return {"type": "x509", "x509": {KINDS[path][1]: certs}}


def merged(before: dict, wanted: dict) -> dict:
    """An existing enrollment with the wanted changes.

    Its secondary certificate stays if none is wanted, unless it becomes the primary one.
    """
    kept = {key: value for key, value in before.items() if key not in ADDED_BY_DPS}
    ((kind, wanted_certs),) = wanted["attestation"]["x509"].items()
    old_certs = ((kept.get("attestation") or {}).get("x509") or {}).get(kind) or {}
    certs = {which: cert for which, cert in old_certs.items() if cert} | wanted_certs
    if len(certs) > 1 and _thumbprint(certs["primary"]) == _thumbprint(certs["secondary"]):
        del certs["secondary"]
    return {**kept, **wanted, "attestation": {"type": "x509", "x509": {kind: certs}}}


def comparable(enrollment: dict) -> dict:
    """An enrollment without the keys that DPS adds, and with thumbprints for certificates."""
    kept = {key: value for key, value in enrollment.items() if key not in ADDED_BY_DPS}
    x509_part = (kept.pop("attestation", None) or {}).get("x509") or {}
    thumbprints = {
        (kind, which): _thumbprint(cert)
        for kind, certs in x509_part.items()
        for which, cert in (certs or {}).items()
        if cert
    }
    return {**kept, "certificates": thumbprints}


def _thumbprint(cert) -> str:
    """The SHA-256 thumbprint of a certificate in an enrollment.

    cert  as the service API has it: the name of an uploaded CA certificate, which is returned as
          it is; or an object with the certificate's info, or the certificate in PEM or base64

    Returns "" if it cannot be read.
    """
    if isinstance(cert, str):
        return cert
    known = (cert.get("info") or {}).get("sha256Thumbprint")
    if known:
        return known.upper()
    data = (cert.get("certificate") or "").encode()
    try:
        if b"-----BEGIN" not in data:
            data = base64.b64decode(data)
        load = x509.load_der_x509_certificate
        if b"-----BEGIN" in data:
            load = x509.load_pem_x509_certificate
        return load(data).fingerprint(hashes.SHA256()).hex().upper()
    except ValueError:
        return ""
