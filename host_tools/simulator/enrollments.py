"""The simulated DPS's service API: enrollments, enrollment groups and registrations.

Sources: Azure REST reference (DPS service 2021-10-01), "Control access to DPS" for the signature.
What the reference leaves open is marked as inferred.
"""

import base64
import binascii
import hmac
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from host_tools import sas
from host_tools.simulator.allocation import POLICIES
from host_tools.simulator.answers import Answer, Call, Refusal, Service, etag
from host_tools.simulator.tls import thumbprint
from microdps.program.config import valid_registration_id

VERSIONS = (
    "2018-09-01-preview",
    "2019-03-31",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-11-01",
)
KEY_NAME = "provisioningserviceowner"

# The most enrollments in one answer to a query, the most in one bulk operation, the most groups.
PAGE = 1000
BULK = 10
GROUPS = 100
BULK_MODES = ("create", "update", "updateIfMatchETag", "delete")

# Path of the service API → the key of an enrollment's ID in its record, and where its
# certificates lie in attestation.x509.
KINDS = {
    "enrollments": ("individual", "registrationId", "clientCertificates"),
    "enrollmentGroups": ("group", "enrollmentGroupId", "signingCertificates"),
}
ITEM_TYPES = {"individual": "enrollment", "group": "enrollmentGroup"}


def answer(service: Service, call: Call, hubs: list[str]) -> Answer:
    """Answer a call of the service API. hubs: the linked ones. Raises Refusal."""
    _authorize(service, call)
    if call.query.get("api-version") not in VERSIONS:
        raise Refusal(400, 400004, "The api-version is not supported.")
    if wait_s := service.limits.wait_s(service.limits.service_calls):
        # Inferred: the code; documented is status 429.
        raise Refusal(429, 429001, "Too many requests.", wait_s)
    match call.method, call.path:
        case "POST", ["enrollments" | "enrollmentGroups" as path]:
            return _bulk(service, call, path, hubs)
        case "POST", ["enrollments" | "enrollmentGroups" as path, "query"]:
            kind = KINDS[path][0]
            return _page(service, call, ITEM_TYPES[kind], service.store.enrollments, kind)
        case "POST", ["enrollments" | "enrollmentGroups" as path, name, "attestationmechanism"]:
            return Answer(200, _kept(service, KINDS[path][0], name)["attestation"])
        case "POST", ["registrations", group, "query"]:
            _kept(service, "group", group)
            return _page(service, call, "deviceRegistration", service.store.registrations, group)
        case "GET", ["enrollments" | "enrollmentGroups" as path, name]:
            kind = KINDS[path][0]
            record = _kept(service, kind, name)
            registration = service.store.registration(name) if kind == "individual" else None
            state = {"registrationState": registration[2]} if registration else {}
            return Answer(200, record | state)
        case "PUT", ["enrollments" | "enrollmentGroups" as path, name]:
            return Answer(
                200, _put(service, path, name, call.json(), call.header("if-match"), hubs)
            )
        case "DELETE", ["enrollments" | "enrollmentGroups" as path, name]:
            kind = KINDS[path][0]
            # A deletion may do without; an update may not, lest it undo another one.
            matched(call, _kept(service, kind, name), default="*")
            service.store.delete_enrollment(kind, name)
            return Answer(204)
        case "GET" | "DELETE" as method, ["registrations", name]:
            registration = service.store.registration(name)
            if registration is None:
                raise Refusal(404, 404201, "Registration not found.")
            if method == "GET":
                return Answer(200, registration[2])
            matched(call, registration[2], default="*")
            service.store.delete_registration(name)
            return Answer(204)
    raise Refusal(405, 405000, "Method not allowed.")


def matched(call: Call, record: dict, default: str | None = None) -> None:
    """Compare the header If-Match with a record's etag. Raises Refusal."""
    _matched(call.header("if-match") or default, record)


def _matched(given: str | None, record: dict) -> None:
    if given not in ("*", record.get("etag"), f'"{record.get("etag")}"'):
        raise Refusal(412, 412001, "Precondition failed.")


def _kept(service: Service, kind: str, name: str) -> dict:
    record = service.store.enrollment(kind, name)
    if record is None:
        raise Refusal(404, 404201, "Enrollment not found.")
    return record


def _put(
    service: Service, path: str, name: str, record: dict, given: str | None, hubs: list[str]
) -> dict:
    """Create or replace an enrollment → its record. given: the etag to match. Raises Refusal."""
    kind, id_key, certs_key = KINDS[path]
    store = service.store
    before = store.enrollment(kind, name)
    if before:
        _matched(given, before)
    elif kind == "group" and len(store.enrollments("group", "", GROUPS)) >= GROUPS:
        raise Refusal(400, 400004, f"There are {GROUPS} enrollment groups already: the limit.")
    if str(record.get(id_key, "")).lower() != name.lower():
        raise Refusal(400, 400004, f"{id_key} differs from that of the path.")
    if not valid_registration_id(name):
        raise Refusal(400, 400004, f"{id_key} is invalid.")
    marks = _marks(service, record, certs_key)
    for mark in marks:
        if store.enrolled(mark) not in (None, (kind, name.lower())):
            raise Refusal(409, 409001, "The certificate is in another enrollment.")
    if record.setdefault("provisioningStatus", "enabled") not in ("enabled", "disabled"):
        raise Refusal(400, 400004, "provisioningStatus is neither enabled nor disabled.")
    if not isinstance(record.get("deviceId"), str | None):
        raise Refusal(400, 400004, "deviceId is no text.")
    _check_allocation(record, hubs)
    now = service.timestamp()
    record.pop("registrationState", None)
    record["etag"] = etag()
    record["createdDateTimeUtc"] = before["createdDateTimeUtc"] if before else now
    record["lastUpdatedDateTimeUtc"] = now
    store.put_enrollment(kind, name, record, marks)
    return record


def _check_allocation(record: dict, hubs: list[str]) -> None:
    """Judge what an enrollment says of hubs, and fill in the defaults. Raises Refusal."""
    policy = record.get("allocationPolicy") or "hashed"
    if policy == "custom":
        # The real service asks a webhook; the simulator calls nobody.
        raise Refusal(400, 400004, "The simulator has no custom allocation: use another policy.")
    if policy not in POLICIES:
        raise Refusal(400, 400004, f"allocationPolicy is not one of {', '.join(POLICIES)}.")
    wanted = record.get("iotHubs") or []
    one = record.get("iotHubHostName")
    if not isinstance(wanted, list) or not all(isinstance(hub, str) for hub in wanted):
        raise Refusal(400, 400004, "iotHubs is no list of host names.")
    if one:
        wanted = [*wanted, one]
    known = {hub.lower() for hub in hubs}
    for hub in wanted:
        if str(hub).lower() not in known:
            raise Refusal(400, 400004, f"{hub} is no linked hub.")
    if policy == "static" and len(wanted) != 1:
        raise Refusal(400, 400004, "Static allocation needs one hub in iotHubs.")
    default = {"updateHubAssignment": True, "migrateDeviceData": True}
    reprovision = record.get("reprovisionPolicy") or default
    if not isinstance(reprovision, dict) or not all(
        isinstance(reprovision.get(key, True), bool) for key in default
    ):
        raise Refusal(400, 400004, "reprovisionPolicy is invalid.")
    record["allocationPolicy"] = policy
    record["reprovisionPolicy"] = reprovision


def _bulk(service: Service, call: Call, path: str, hubs: list[str]) -> Answer:
    """Up to ten enrollments at once, each on its own. Source: "Bulk Enrollment Operation"."""
    kind, id_key, _ = KINDS[path]
    body = call.json()
    records, mode = body.get(path), body.get("mode")
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise Refusal(400, 400004, f"{path} is no list of enrollments.")
    if mode not in BULK_MODES:
        raise Refusal(400, 400004, f"mode is not one of {', '.join(BULK_MODES)}.")
    if not 0 < len(records) <= BULK:
        raise Refusal(400, 400004, f"A bulk operation is for 1 to {BULK} enrollments.")
    errors = []
    for record in records:
        name = str(record.get(id_key, ""))
        try:
            before = service.store.enrollment(kind, name)
            if mode == "create" and before:
                raise Refusal(409, 409001, "The enrollment is there already.")
            if mode != "create":
                before = _kept(service, kind, name)
            given = record.get("etag") if mode == "updateIfMatchETag" else "*"
            if mode == "delete":
                service.store.delete_enrollment(kind, name)
            else:
                _put(service, path, name, record, given, hubs)
        except Refusal as refusal:
            error = {"errorCode": refusal.code, "errorStatus": refusal.message}
            errors.append({id_key: name, **error})
    return Answer(200, {"isSuccessful": not errors, "errors": errors})


def _page(service: Service, call: Call, item_type: str, find, what: str) -> Answer:
    """A page of all that there is. Inferred: the order, and the token's form."""
    query = call.json().get("query") if item_type != "deviceRegistration" else ""
    if not isinstance(query, str):
        raise Refusal(400, 400004, "The query is missing.")
    most, start = call.header("x-ms-max-item-count"), call.header("x-ms-continuation") or ""
    if most and not (most.isdecimal() and int(most) > 0):
        raise Refusal(400, 400004, "x-ms-max-item-count is no number above 0.")
    limit = min(int(most), PAGE) if most else PAGE
    found = find(what, start, limit)
    headers = {"x-ms-item-type": item_type}
    if len(found) == limit:
        headers["x-ms-continuation"] = found[-1][0]
    return Answer(200, [record for _, record in found], headers)


def _authorize(service: Service, call: Call) -> None:
    """Check the shared access signature of a call. Raises Refusal."""
    scheme, _, text = (call.header("authorization") or "").partition(" ")
    given = dict(urllib.parse.parse_qsl(text))
    valid = scheme == sas.SCHEME and given.get("skn") == KEY_NAME
    if valid:
        expiry = given.get("se", "")
        signature = sas.signature(given.get("sr", ""), expiry, service.store.service_key)
        valid = (
            hmac.compare_digest(signature.encode(), given.get("sig", "").encode())
            and given.get("sr", "").lower() == (call.header("host") or "").lower()
            and expiry.isdecimal()
            and int(expiry) > service.now()
        )
    if not valid:
        raise Refusal(401, 401002, "Unauthorized")


def _marks(service: Service, record: dict, key: str) -> list[str]:
    """What an enrollment's certificates are found by, primary and secondary, at least one; what
    they are is written beside them. Raises Refusal."""
    wrong = Refusal(400, 400004, f"attestation.x509.{key} is missing or invalid.")
    try:
        attestation = record["attestation"]
        if attestation["type"] != "x509":
            raise wrong
        holder = attestation["x509"]
        names = holder.get("caReferences") if key == "signingCertificates" else None
        pair = names or holder[key]
        marks = []
        for which in ("primary", "secondary"):
            given = pair.get(which)
            if given and names:
                if service.store.authority(given) is None:
                    raise Refusal(400, 400004, f"There is no CA certificate {given!r}.")
                marks.append(service.store.ca_mark(given))
            elif given:
                cert = read_certificate(given["certificate"])
                given["info"] = information(cert)
                marks.append(thumbprint(cert))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise wrong from error
    if not marks:
        raise wrong
    return marks


def information(cert: x509.Certificate) -> dict:
    """What the service tells of a certificate (X509CertificateInfo)."""
    return {
        "subjectName": cert.subject.rfc4514_string(),
        "sha1Thumbprint": cert.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
        "sha256Thumbprint": thumbprint(cert),
        "issuerName": cert.issuer.rfc4514_string(),
        "notBeforeUtc": f"{cert.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfterUtc": f"{cert.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "serialNumber": f"{cert.serial_number:X}",
        "version": cert.version.value + 1,
    }


def read_certificate(text: str) -> x509.Certificate:
    """A certificate as clients send them: PEM, base64 of PEM, base64 of DER. Raises ValueError."""
    data = text.encode()
    if b"-----BEGIN" not in data:
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError("neither PEM nor base64") from error
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)
