"""CA certificates of the simulated DPS, as Azure Resource Manager manages them.

An uploaded CA certificate counts only once it is verified: on the word of the uploader, or by
proof of possession, a certificate for the verification code that the CA's key has signed.

Sources: Azure REST reference (Microsoft.Devices/provisioningServices/certificates, 2022-12-12),
"Verify X.509 CA certificates with DPS". On the real service this is management.azure.com, with a
token of Microsoft Entra; here the token is the key of the service's connection string.
"""

import base64
import hmac
import secrets
from email.utils import format_datetime, formatdate

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ...certs.reading import common_name, extension, signed_by
from ..http_service import Answer, Call, Refusal, Service, etag
from ..tls import thumbprint
from .service_api import matched, read_certificate

VERSIONS = (
    "2017-11-15",
    "2018-01-22",
    "2020-01-01",
    "2020-03-01",
    "2021-10-15",
    "2022-02-05",
    "2022-12-12",
    "2023-03-01-preview",
    "2025-02-01-preview",
    "2026-11-01",
)

# The most CA certificates of an instance ("Azure IoT Hub Device Provisioning Service limits").
MOST = 25


def answer(service: Service, call: Call) -> Answer:
    """Answer a call of the management API. Raises Refusal."""
    scheme, _, token = (call.header("authorization") or "").partition(" ")
    if scheme != "Bearer" or not hmac.compare_digest(
        token.encode(), service.store.service_key.encode()
    ):
        raise Refusal(401, 401000, "The access token is invalid.")
    if call.query.get("api-version") not in VERSIONS:
        raise Refusal(400, 400000, "The api-version is not supported.")
    match call.path:
        case [
            "subscriptions",
            _,
            "resourceGroups" | "resourcegroups",
            _,
            "providers",
            "Microsoft.Devices",
            "provisioningServices",
            _,
            "certificates",
            *rest,
        ]:
            pass
        case _:
            raise Refusal(404, 404000, "The resource is not found.")
    match call.method, rest:
        case "GET", []:
            return Answer(200, {"value": service.store.authorities()})
        case "GET", [name]:
            return Answer(200, _kept(service, name))
        case "PUT", [name]:
            return _upload(service, call, name)
        case "DELETE", [name]:
            return _delete(service, call, name)
        case "POST", [name, "generateVerificationCode"]:
            return _code(service, call, name)
        case "POST", [name, "verify"]:
            return _verify(service, call, name)
        case _, [] | [_] | [_, "generateVerificationCode" | "verify"]:
            raise Refusal(405, 405000, "The method is not allowed.")
    raise Refusal(404, 404000, "The resource is not found.")


def _upload(service: Service, call: Call, name: str) -> Answer:
    store = service.store
    before = store.authority(name)
    if before:
        matched(call, before)
    elif len(store.authorities()) >= MOST:
        raise Refusal(400, 400000, f"There are {MOST} CA certificates already: the limit.")
    properties = call.json().get("properties")
    if not isinstance(properties, dict):
        raise Refusal(400, 400000, "properties is missing.")
    cert = _certificate(properties)
    verified = properties.get("isVerified", False)
    if not isinstance(verified, bool):
        raise Refusal(400, 400000, "isVerified is neither true nor false.")
    try:
        constraints = extension(cert, x509.BasicConstraints)
    except ValueError as error:
        raise Refusal(400, 400000, "The certificate cannot be read.") from error
    if constraints is None or not constraints.ca:
        raise Refusal(400, 400000, "The certificate is not a CA's.")
    owner = store.authority_of(thumbprint(cert))
    if owner and owner[0] != name.lower():
        raise Refusal(409, 409000, "The certificate is there under another name.")
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


def _delete(service: Service, call: Call, name: str) -> Answer:
    matched(call, _kept(service, name))
    if service.store.enrolled(service.store.ca_mark(name)):
        raise Refusal(409, 409000, "An enrollment group refers to the certificate.")
    service.store.delete_authority(name)
    return Answer(204)


def _code(service: Service, call: Call, name: str) -> Answer:
    record = _kept(service, name)
    matched(call, record)
    record["properties"]["verificationCode"] = secrets.token_hex(24).upper()
    return _keep(service, name, _certificate(record["properties"]), record)


def _verify(service: Service, call: Call, name: str) -> Answer:
    record = _kept(service, name)
    matched(call, record)
    code = record["properties"].pop("verificationCode", None)
    if code is None:
        raise Refusal(400, 400000, "There is no verification code: generate one first.")
    proof = _certificate(call.json())
    cert = _certificate(record["properties"])
    if common_name(proof) != code or not signed_by(proof, cert):
        raise Refusal(
            400,
            400000,
            "The certificate does not prove possession: its common name must be the verification"
            " code, and the CA must have signed it.",
        )
    record["properties"]["isVerified"] = True
    return _keep(service, name, cert, record)


def _kept(service: Service, name: str) -> dict:
    record = service.store.authority(name)
    if record is None:
        raise Refusal(404, 404000, "The certificate is not found.")
    return record


def _keep(service: Service, name: str, cert: x509.Certificate, record: dict) -> Answer:
    record["etag"] = etag()
    record["properties"]["updated"] = formatdate(service.now(), usegmt=True)
    service.store.put_authority(name, thumbprint(cert), record)
    return Answer(200, record)


def _certificate(holder: dict) -> x509.Certificate:
    text = holder.get("certificate")
    try:
        if not isinstance(text, str):
            raise ValueError("no text")
        return read_certificate(text)
    except ValueError as error:
        raise Refusal(400, 400000, "certificate is missing, or is no certificate.") from error
