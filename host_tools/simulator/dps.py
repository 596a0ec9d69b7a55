"""The simulated Device Provisioning Service: device API, and enrollments of the service API.

Sources: Azure REST reference (DPS data plane 2021-10-01), the how-to "Use X.509 certificates over
HTTPS without an SDK" (2025-08-12), whose answers these are to the header, and "Control access to
DPS" for the signature.
"""

import base64
import binascii
import hmac
import secrets
import time
import urllib.parse
import uuid

from cryptography import x509

from host_tools import sas
from host_tools.simulator.answers import (
    Answer,
    Call,
    Refusal,
    Service,
    etag,
    thumbprint,
    timestamp,
)
from host_tools.simulator.attestation import attest

HSTS = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
DEVICE_VERSIONS = (
    "2018-09-01-preview",
    "2019-03-31",
    "2021-06-01",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-04-01",
    "2026-11-01",
)
SERVICE_VERSIONS = (
    "2018-09-01-preview",
    "2019-03-31",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-11-01",
)
KEY_NAME = "provisioningserviceowner"

# The most enrollments in one answer to a query.
PAGE = 1000

# Path of the service API → the key of an enrollment's ID in its record, and where its
# certificates lie in attestation.x509.
KINDS = {
    "enrollments": ("individual", "registrationId", "clientCertificates"),
    "enrollmentGroups": ("group", "enrollmentGroupId", "signingCertificates"),
}


class Dps(Service):
    """Both APIs on one port; the real service has a host name for each.

    hub             host (with port) of the hub that devices are assigned to
    retry_after_s   what a device is asked to wait before it polls
    assign_after_s  how long a registration stays "assigning"
    """

    def __init__(self, *args, hub: str, retry_after_s: int, assign_after_s: float):
        super().__init__("dps", *args)
        self.hub = hub
        self.retry_after_s = retry_after_s
        self.assign_after_s = assign_after_s

    def answer(self, call: Call) -> Answer:
        match call.path:
            case [scope, "registrations", name, "register"]:
                answer = self._register(call, scope, name)
            case [scope, "registrations", name, "operations", operation]:
                answer = self._operation(call, scope, name, operation)
            case ["enrollments" | "enrollmentGroups" as kind, "query"] if call.method == "POST":
                answer = self._query(call, KINDS[kind][0])
            case ["enrollments" | "enrollmentGroups" as kind, name]:
                answer = self._enrollment(call, *KINDS[kind], name)
            case _:
                # Inferred: the code; documented is status 404.
                raise Refusal(404, 404000, "Resource not found.")
        answer.headers |= HSTS
        return answer

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        answer = super().refused(call, refusal)
        # The header is in the REST reference for every error.
        answer.headers |= HSTS | {"x-ms-error-code": str(refusal.code)}
        return answer

    def _register(self, call: Call, scope: str, name: str) -> Answer:
        self._device_call(call, "PUT", scope)
        given = call.json().get("registrationId", name)
        if not isinstance(given, str) or given.lower() != name.lower():
            raise Refusal(400, 400004, "The registration ID differs from that of the path.")
        kind, enrollment = attest(call.chain, name, self.store)
        chain = [thumbprint(cert) for cert in call.chain]
        if enrollment["provisioningStatus"] == "disabled":
            # As the service's MQTT answers it. Inferred: the same over HTTPS.
            disabled = {"registrationId": name, "status": "disabled"}
            self.store.put_registration(name, "", disabled, chain)
            body = {"operationId": "", "status": "disabled", "registrationState": disabled}
            return Answer(200, body)
        device_id = enrollment.get("deviceId") or name
        operation = f"5.{secrets.token_hex(8)}.{uuid.uuid4()}"
        before = self.store.registration(name)
        now = timestamp()
        state: dict = {
            "x509": {},
            "registrationId": name,
            "createdDateTimeUtc": before[2].get("createdDateTimeUtc", now) if before else now,
            "assignedHub": self.hub,
            "deviceId": device_id,
            "status": "assigned",
            "substatus": "initialAssignment",
            "lastUpdatedDateTimeUtc": now,
            "etag": etag(),
        }
        self.store.put_registration(name, operation, state, chain)
        identity = {"kind": kind, "registrationId": name, "thumbprint": chain[0]}
        self.store.put_device(self.hub, device_id, identity)
        location = f"https://{call.header('host')}/{scope}/registrations/{name}/register"
        headers = {"location": location, "retry-after": str(self.retry_after_s)}
        return Answer(202, {"operationId": operation, "status": "assigning"}, headers)

    def _operation(self, call: Call, scope: str, name: str, operation: str) -> Answer:
        self._device_call(call, "GET", scope)
        attest(call.chain, name, self.store)
        registration = self.store.registration(name)
        if not registration or not operation or registration[0] != operation:
            # Inferred: the code of an unknown operation.
            raise Refusal(404, 404201, "Operation not found.")
        _, started, state, _ = registration
        if time.time() - started < self.assign_after_s:
            body = {
                "operationId": operation,
                "status": "assigning",
                "registrationState": {
                    "registrationId": state["registrationId"],
                    "status": "assigning",
                },
            }
            return Answer(202, body, {"retry-after": str(self.retry_after_s)})
        body = {"operationId": operation, "status": state["status"], "registrationState": state}
        return Answer(200, body)

    def _device_call(self, call: Call, method: str, scope: str) -> None:
        if call.method != method:
            raise Refusal(405, 405000, "Method not allowed.")
        if call.query.get("api-version") not in DEVICE_VERSIONS:
            raise Refusal(400, 400004, "The api-version is not supported.")
        if scope != self.store.id_scope:
            # Inferred: an unknown ID scope is refused like an unknown certificate.
            raise Refusal(401, 401002, "Unauthorized")

    def _enrollment(self, call: Call, kind: str, id_key: str, certs_key: str, name: str) -> Answer:
        self._service_call(call)
        before = self.store.enrollment(kind, name)
        if call.method not in ("GET", "PUT", "DELETE"):
            raise Refusal(405, 405000, "Method not allowed.")
        if before is None and call.method != "PUT":
            raise Refusal(404, 404201, "Enrollment not found.")
        if call.method == "GET":
            return Answer(200, before)
        # A deletion may do without; an update may not, lest it undo another one.
        given = call.header("if-match") or ("*" if call.method == "DELETE" else None)
        if before and given not in ("*", before["etag"], f'"{before["etag"]}"'):
            raise Refusal(412, 412001, "Precondition failed.")
        if call.method == "DELETE":
            self.store.delete_enrollment(kind, name)
            return Answer(204)
        record = call.json()
        if str(record.get(id_key, "")).lower() != name.lower():
            raise Refusal(400, 400004, f"{id_key} differs from that of the path.")
        thumbprints = []
        for cert in _certificates(record, certs_key):
            thumbprints.append(thumbprint(cert))
            if self.store.enrolled(thumbprints[-1]) not in (None, (kind, name.lower())):
                raise Refusal(409, 409001, "The certificate is in another enrollment.")
        status = record.setdefault("provisioningStatus", "enabled")
        if status not in ("enabled", "disabled"):
            raise Refusal(400, 400004, "provisioningStatus is neither enabled nor disabled.")
        if not isinstance(record.get("deviceId", ""), str):
            raise Refusal(400, 400004, "deviceId is no text.")
        now = timestamp()
        record["etag"] = etag()
        record["createdDateTimeUtc"] = before["createdDateTimeUtc"] if before else now
        record["lastUpdatedDateTimeUtc"] = now
        self.store.put_enrollment(kind, name, record, thumbprints)
        return Answer(200, record)

    def _query(self, call: Call, kind: str) -> Answer:
        """All enrollments of a kind, in pages. Inferred: the order, and the token's form."""
        self._service_call(call)
        if not isinstance(call.json().get("query"), str):
            raise Refusal(400, 400004, "The query is missing.")
        most, start = call.header("x-ms-max-item-count"), call.header("x-ms-continuation") or ""
        if most and not (most.isdigit() and int(most) > 0):
            raise Refusal(400, 400004, "x-ms-max-item-count is no number above 0.")
        limit = min(int(most), PAGE) if most else PAGE
        found = self.store.enrollments(kind, start, limit)
        headers = {"x-ms-item-type": "enrollment" if kind == "individual" else "enrollmentGroup"}
        if len(found) == limit:
            headers["x-ms-continuation"] = found[-1][0]
        return Answer(200, [record for _, record in found], headers)

    def _service_call(self, call: Call) -> None:
        self._authorize(call)
        if call.query.get("api-version") not in SERVICE_VERSIONS:
            raise Refusal(400, 400004, "The api-version is not supported.")

    def _authorize(self, call: Call) -> None:
        """Check the shared access signature of a call to the service API. Raises Refusal."""
        scheme, _, text = (call.header("authorization") or "").partition(" ")
        given = dict(urllib.parse.parse_qsl(text))
        valid = scheme == sas.SCHEME and given.get("skn") == KEY_NAME
        if valid:
            expiry = given.get("se", "")
            signature = sas.signature(given.get("sr", ""), expiry, self.store.service_key)
            valid = (
                hmac.compare_digest(signature.encode(), given.get("sig", "").encode())
                and given.get("sr", "").lower() == (call.header("host") or "").lower()
                and expiry.isdigit()
                and int(expiry) > time.time()
            )
        if not valid:
            raise Refusal(401, 401002, "Unauthorized")


def _certificates(record: dict, key: str) -> list[x509.Certificate]:
    """The certificates of an enrollment, primary and secondary, at least one. Raises Refusal."""
    try:
        attestation = record["attestation"]
        pair = attestation["x509"][key]
        if attestation["type"] != "x509":
            raise TypeError
        return [
            _certificate(pair[which]["certificate"])
            for which in ("primary", "secondary")
            if pair.get(which)
        ] or [_certificate("")]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refusal(400, 400004, f"attestation.x509.{key} is missing or invalid.") from error


def _certificate(text: str) -> x509.Certificate:
    """A certificate as clients send them: PEM, base64 of PEM, base64 of DER."""
    data = text.encode()
    if b"-----BEGIN" not in data:
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError("neither PEM nor base64") from error
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)
