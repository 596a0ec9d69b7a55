"""CA certificates of DPS, as Azure Resource Manager manages them.

An uploaded CA certificate counts only after it has been verified. The uploader can mark it as
verified, or prove possession: with a certificate for the verification code that the CA's key has
signed.

Sources: Azure REST reference (Microsoft.Devices/provisioningServices/certificates, 2022-12-12),
"Verify X.509 CA certificates with DPS" (Azure documentation).
"""

import base64
import secrets
from email.utils import format_datetime, formatdate

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ...certs.reading import common_name, extension, is_ca, signed_by
from ..call import ApiError, Call, Response, new_etag
from ..http_service import HttpService
from ..store.enrollments import ca_key
from ..tls import thumbprint
from .certificates import read_certificate
from .if_match import check_if_match

# Up to this version, the fields of an uploaded certificate are not inside "properties".
LAST_FLAT_VERSION = "2021-10-15"

# The most CA certificates of an instance ("Azure IoT Hub Device Provisioning Service limits").
CA_LIMIT = 25


def respond(service: HttpService, call: Call, rest: list[str]) -> Response:
    """Answer a call for the CA certificates. rest: the path after them. Raises ApiError."""
    match call.method, rest:
        case "GET", []:
            return Response(200, {"value": service.store.ca_certificates.all()})
        case "GET", [name]:
            return Response(200, _record(service, name))
        case "PUT", [name]:
            return _upload(service, call, name)
        case "DELETE", [name]:
            return _delete(service, call, name)
        case "POST", [name, "generateverificationcode"]:
            return _generate_verification_code(service, call, name)
        case "POST", [name, "verify"]:
            return _verify(service, call, name)
        case _, [] | [_] | [_, "generateverificationcode" | "verify"]:
            raise ApiError(405, 405000, "The method is not allowed.")
    raise ApiError(404, 404000, "The resource is not found.")


def _upload(service: HttpService, call: Call, name: str) -> Response:
    certificates = service.store.ca_certificates
    before = certificates.get(name)
    if before:
        check_if_match(call, before)
    elif len(certificates.all()) >= CA_LIMIT:
        raise ApiError(400, 400000, f"There are {CA_LIMIT} CA certificates already: the limit.")
    body = call.json()
    flat = call.query["api-version"] <= LAST_FLAT_VERSION
    properties = body if flat else body.get("properties")
    if not isinstance(properties, dict):
        raise ApiError(400, 400000, "properties is missing.")
    cert = _certificate(properties)
    verified = properties.get("isVerified") or False
    if not isinstance(verified, bool):
        raise ApiError(400, 400000, "isVerified is neither true nor false.")
    _check_is_ca(cert)
    owner = certificates.with_thumbprint(thumbprint(cert))
    if owner and owner[0] != name.lower():
        raise ApiError(409, 409000, "The certificate is there under another name.")
    now = formatdate(service.now(), usegmt=True)
    record = {
        "id": "/".join(["", *call.path]),
        "name": name,
        "type": "Microsoft.Devices/ProvisioningServices/Certificates",
        "properties": {
            "subject": common_name(cert),
            "expiry": format_datetime(cert.not_valid_after_utc, usegmt=True),
            "thumbprint": cert.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
            "isVerified": verified,
            "created": before["properties"]["created"] if before else now,
            "certificate": base64.b64encode(cert.public_bytes(Encoding.DER)).decode(),
        },
    }
    return _keep(service, name, cert, record)


def _check_is_ca(cert: x509.Certificate) -> None:
    try:
        ca = is_ca(cert) or extension(cert, x509.BasicConstraints) is None
    except ValueError as error:
        raise ApiError(400, 400000, "The certificate cannot be read.") from error
    if not ca:
        raise ApiError(400, 400000, "The certificate is not a CA's.")


def _delete(service: HttpService, call: Call, name: str) -> Response:
    check_if_match(call, _record(service, name))
    if service.store.enrollments.with_certificate(ca_key(name)):
        raise ApiError(409, 409000, "An enrollment group refers to the certificate.")
    service.store.ca_certificates.delete(name)
    return Response(204)


def _generate_verification_code(service: HttpService, call: Call, name: str) -> Response:
    record = _record(service, name)
    check_if_match(call, record)
    record["properties"]["verificationCode"] = secrets.token_hex(24).upper()
    return _keep(service, name, _certificate(record["properties"]), record)


def _verify(service: HttpService, call: Call, name: str) -> Response:
    record = _record(service, name)
    check_if_match(call, record)
    code = record["properties"].pop("verificationCode", None)
    if code is None:
        raise ApiError(400, 400000, "There is no verification code: generate one first.")
    proof = _certificate(call.json())
    cert = _certificate(record["properties"])
    if common_name(proof) != code or not signed_by(proof, cert):
        raise ApiError(
            400,
            400000,
            "The certificate does not prove possession: its common name must be the verification"
            " code, and the CA must have signed it.",
        )
    record["properties"]["isVerified"] = True
    return _keep(service, name, cert, record)


def _record(service: HttpService, name: str) -> dict:
    record = service.store.ca_certificates.get(name)
    if record is None:
        raise ApiError(404, 404000, "The certificate is not found.")
    return record


def _keep(service: HttpService, name: str, cert: x509.Certificate, record: dict) -> Response:
    record["etag"] = new_etag()
    record["properties"]["updated"] = formatdate(service.now(), usegmt=True)
    service.store.ca_certificates.put(name, thumbprint(cert), record)
    return Response(200, record)


def _certificate(properties: dict) -> x509.Certificate:
    text = properties.get("certificate")
    try:
        if not isinstance(text, str):
            raise ValueError("not a string")
        return read_certificate(text)
    except ValueError as error:
        raise ApiError(400, 400000, "certificate is missing, or is no certificate.") from error
