"""DPS's service API: enrollments, enrollment groups and registrations.

Source: Azure REST reference, DPS service 2021-10-01. What it leaves open is marked as inferred.
"""

from microdps.program.config import valid_registration_id

from ..call import ApiError, Call, Response, new_etag
from ..http_service import HttpService
from ..store.enrollments import ca_key
from ..tls import thumbprint
from .allocation import POLICIES
from .authorization import authorize
from .certificates import certificate_info, read_certificate
from .if_match import check_etag, check_if_match

VERSIONS = (
    "2018-09-01-preview",
    "2019-03-31",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-11-01",
)

# The most enrollments in a page of a query, in a bulk operation, and the most groups.
PAGE_LIMIT = 1000
BULK_LIMIT = 10
GROUP_LIMIT = 100
BULK_MODES = ("create", "update", "updateIfMatchETag", "delete")

# Path of the service API → kind in the store, the key of an enrollment's ID, and the key of its
# certificates in attestation.x509.
KINDS = {
    "enrollments": ("individual", "registrationId", "clientCertificates"),
    "enrollmentGroups": ("group", "enrollmentGroupId", "signingCertificates"),
}
ITEM_TYPES = {"individual": "enrollment", "group": "enrollmentGroup"}


def respond(service: HttpService, call: Call, hubs: list[str]) -> Response:
    """Answer a call of the service API. hubs: the linked hubs. Raises ApiError."""
    authorize(service, call)
    if call.query.get("api-version") not in VERSIONS:
        raise ApiError(400, 400004, "The api-version is not supported.")
    if wait_s := service.limits.wait_s(service.limits.service_calls):
        # Inferred: the code. The status 429 is documented.
        raise ApiError(429, 429001, "Too many requests.", wait_s)
    match call.path:
        case ["registrations", group, "query"]:
            _check_method(call, "POST")
            _enrollment(service, "group", group)
            find = service.store.registrations.of_group
            return _page(call, "deviceRegistration", find, group)
        case ["registrations", name]:
            return _registration(service, call, name)
        case [path]:
            _check_method(call, "POST")
            return _bulk(service, call, path, hubs)
        case [path, "query"] if call.method == "POST":
            kind = KINDS[path][0]
            return _page(call, ITEM_TYPES[kind], service.store.enrollments.of_kind, kind)
        case [path, name, "attestationmechanism"]:
            _check_method(call, "POST")
            return Response(200, _enrollment(service, KINDS[path][0], name)["attestation"])
        case [path, name]:
            return _one_enrollment(service, call, path, name, hubs)
    raise _not_allowed()


def _not_allowed() -> ApiError:
    return ApiError(405, 405000, "Method not allowed.")


def _check_method(call: Call, method: str) -> None:
    if call.method != method:
        raise _not_allowed()


def _registration(service: HttpService, call: Call, name: str) -> Response:
    """Read or delete a registration."""
    if call.method not in ("GET", "DELETE"):
        raise _not_allowed()
    registration = service.store.registrations.get(name)
    if registration is None:
        raise ApiError(404, 404201, "Registration not found.")
    if call.method == "GET":
        return Response(200, registration[2])
    check_if_match(call, registration[2], default="*")
    service.store.registrations.delete(name)
    return Response(204)


def _one_enrollment(
    service: HttpService, call: Call, path: str, name: str, hubs: list[str]
) -> Response:
    """Read, write or delete an enrollment."""
    kind = KINDS[path][0]
    match call.method:
        case "GET":
            record = _enrollment(service, kind, name)
            registration = service.store.registrations.get(name) if kind == "individual" else None
            state = {"registrationState": registration[2]} if registration else {}
            return Response(200, record | state)
        case "PUT":
            etag = call.header("if-match")
            return Response(200, _put(service, path, name, call.json(), etag, hubs))
        case "DELETE":
            # If-Match is optional for a deletion. It is not for an update, which could undo
            # another one.
            check_if_match(call, _enrollment(service, kind, name), default="*")
            service.store.enrollments.delete(kind, name)
            return Response(204)
    raise _not_allowed()


def _enrollment(service: HttpService, kind: str, name: str) -> dict:
    record = service.store.enrollments.get(kind, name)
    if record is None:
        raise ApiError(404, 404201, "Enrollment not found.")
    return record


def _put(
    service: HttpService, path: str, name: str, record: dict, etag: str | None, hubs: list[str]
) -> dict:
    """Create or replace an enrollment → its record. etag: of the one to replace.

    Raises ApiError.
    """
    kind, id_key, certs_key = KINDS[path]
    enrollments = service.store.enrollments
    before = enrollments.get(kind, name)
    if before:
        check_etag(etag, before)
    elif kind == "group" and len(enrollments.of_kind("group", "", GROUP_LIMIT)) >= GROUP_LIMIT:
        raise ApiError(
            400, 400004, f"There are {GROUP_LIMIT} enrollment groups already: the limit."
        )
    if str(record.get(id_key, "")).lower() != name.lower():
        raise ApiError(400, 400004, f"{id_key} differs from that of the path.")
    if not valid_registration_id(name):
        raise ApiError(400, 400004, f"{id_key} is invalid.")
    thumbprints = _thumbprints(service, record, certs_key)
    for one in thumbprints:
        if enrollments.with_certificate(one) not in (None, (kind, name.lower())):
            raise ApiError(409, 409001, "The certificate is in another enrollment.")
    if record.setdefault("provisioningStatus", "enabled") not in ("enabled", "disabled"):
        raise ApiError(400, 400004, "provisioningStatus is neither enabled nor disabled.")
    if not isinstance(record.get("deviceId"), str | None):
        raise ApiError(400, 400004, "deviceId is no text.")
    _check_allocation(record, hubs)
    _check_reprovision(record)
    now = service.timestamp()
    record.pop("registrationState", None)
    record["etag"] = new_etag()
    record["createdDateTimeUtc"] = before["createdDateTimeUtc"] if before else now
    record["lastUpdatedDateTimeUtc"] = now
    enrollments.put(kind, name, record, thumbprints)
    return record


def _thumbprints(service: HttpService, record: dict, certs_key: str) -> list[str]:
    """The thumbprints of an enrollment's certificates; ca_key() for an uploaded CA certificate.

    Writes the certificates' info into the record. Raises ApiError if there is no certificate.
    """
    invalid = ApiError(400, 400004, f"attestation.x509.{certs_key} is missing or invalid.")
    try:
        attestation = record["attestation"]
        if attestation["type"] != "x509":
            raise invalid
        x509 = attestation["x509"]
        references = x509.get("caReferences") if certs_key == "signingCertificates" else None
        pair = references or x509[certs_key]
        thumbprints = []
        for which in ("primary", "secondary"):
            one = pair.get(which)
            if one and references:
                if service.store.ca_certificates.get(one) is None:
                    raise ApiError(400, 400004, f"There is no CA certificate {one!r}.")
                thumbprints.append(ca_key(one))
            elif one:
                cert = read_certificate(one["certificate"])
                one["info"] = certificate_info(cert)
                thumbprints.append(thumbprint(cert))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise invalid from error
    if not thumbprints:
        raise invalid
    return thumbprints


def _check_allocation(record: dict, hubs: list[str]) -> None:
    """Check the allocation policy and its hubs, and write the default. Raises ApiError."""
    policy = record.get("allocationPolicy") or "hashed"
    if policy == "custom":
        # The real service calls a webhook. The simulator calls nobody.
        raise ApiError(400, 400004, "The simulator has no custom allocation: use another policy.")
    if policy not in POLICIES:
        raise ApiError(400, 400004, f"allocationPolicy is not one of {', '.join(POLICIES)}.")
    wanted = record.get("iotHubs") or []
    one = record.get("iotHubHostName")
    if not isinstance(wanted, list) or not all(isinstance(hub, str) for hub in wanted):
        raise ApiError(400, 400004, "iotHubs is no list of host names.")
    if one:
        wanted = [*wanted, one]
    known = {hub.lower() for hub in hubs}
    for hub in wanted:
        if str(hub).lower() not in known:
            raise ApiError(400, 400004, f"{hub} is no linked hub.")
    if policy == "static" and len(wanted) != 1:
        raise ApiError(400, 400004, "Static allocation needs one hub in iotHubs.")
    record["allocationPolicy"] = policy


def _check_reprovision(record: dict) -> None:
    """Check the reprovision policy, and write the default. Raises ApiError."""
    default = {"updateHubAssignment": True, "migrateDeviceData": True}
    policy = record.get("reprovisionPolicy") or default
    if not isinstance(policy, dict) or not all(
        isinstance(policy.get(key, True), bool) for key in default
    ):
        raise ApiError(400, 400004, "reprovisionPolicy is invalid.")
    record["reprovisionPolicy"] = policy


def _bulk(service: HttpService, call: Call, path: str, hubs: list[str]) -> Response:
    """Up to ten enrollments at once. Each succeeds or fails by itself.

    Source: "Bulk Enrollment Operation" (Azure REST reference).
    """
    kind, id_key, _ = KINDS[path]
    body = call.json()
    records, mode = body.get(path), body.get("mode")
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise ApiError(400, 400004, f"{path} is no list of enrollments.")
    if mode not in BULK_MODES:
        raise ApiError(400, 400004, f"mode is not one of {', '.join(BULK_MODES)}.")
    if not 0 < len(records) <= BULK_LIMIT:
        raise ApiError(400, 400004, f"A bulk operation is for 1 to {BULK_LIMIT} enrollments.")
    errors = []
    for record in records:
        name = str(record.get(id_key, ""))
        try:
            before = service.store.enrollments.get(kind, name)
            if mode == "create" and before:
                raise ApiError(409, 409001, "The enrollment is there already.")
            if mode != "create":
                before = _enrollment(service, kind, name)
            etag = record.get("etag") if mode == "updateIfMatchETag" else "*"
            if mode == "delete":
                service.store.enrollments.delete(kind, name)
            else:
                _put(service, path, name, record, etag, hubs)
        except ApiError as error:
            details = {"errorCode": error.code, "errorStatus": error.message}
            errors.append({id_key: name, **details})
    return Response(200, {"isSuccessful": not errors, "errors": errors})


def _page(call: Call, item_type: str, find, key: str) -> Response:
    """A page of a query. find: a function that takes the key, the last ID and the limit.

    Inferred: the order, and the form of the continuation token.
    """
    query = call.json().get("query") if item_type != "deviceRegistration" else ""
    if not isinstance(query, str):
        raise ApiError(400, 400004, "The query is missing.")
    count, start = call.header("x-ms-max-item-count"), call.header("x-ms-continuation") or ""
    if count and not (count.isdecimal() and int(count) > 0):
        raise ApiError(400, 400004, "x-ms-max-item-count is no number above 0.")
    limit = min(int(count), PAGE_LIMIT) if count else PAGE_LIMIT
    found = find(key, start, limit)
    headers = {"x-ms-item-type": item_type}
    if len(found) == limit:
        headers["x-ms-continuation"] = found[-1][0]
    return Response(200, [record for _, record in found], headers)
