"""DPS's service API: enrollments, enrollment groups and registrations.

Source: Azure REST reference, DPS service 2021-10-01. What it leaves open is marked as inferred.
"""

from microdps.program.config import valid_registration_id

from ..call import ApiError, Call, Response, new_etag
from ..http_service import HttpService
from .authorization import authorize
from .enrollment_record import KINDS, read_record
from .if_match import check_etag, check_if_match
from .query import continuation, parse_query, read_continuation

VERSIONS = (
    "2018-04-01",
    "2018-09-01-preview",
    "2019-03-31",
    "2021-06-01",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-04-01",
    "2026-11-01",
)

# The most enrollments in a page of a query, in a bulk operation, and the most groups.
PAGE_LIMIT = 1000
BULK_LIMIT = 10
GROUP_LIMIT = 100

# How many enrollments at least a query reads at once.
BATCH = 100

BULK_MODES = ("create", "update", "updateIfMatchETag", "delete")

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
            call.check_method("POST")
            _enrollment(service, "group", group)
            find = service.store.registrations.of_group
            return _page(service, call, "deviceRegistration", find, group)
        case ["registrations", name]:
            return _registration(service, call, name)
        case [path]:
            call.check_method("POST")
            return _bulk(service, call, path, hubs)
        case [path, "query"] if call.method == "POST":
            kind = KINDS[path][0]
            return _page(service, call, ITEM_TYPES[kind], service.store.enrollments.of_kind, kind)
        case [path, name, "attestationmechanism"]:
            call.check_method("POST")
            return Response(200, _enrollment(service, KINDS[path][0], name)["attestation"])
        case [path, name]:
            return _one_enrollment(service, call, path, name, hubs)
    raise ApiError(405, 405000, "Method not allowed")


def _registration(service: HttpService, call: Call, name: str) -> Response:
    """Read or delete a registration."""
    call.check_method("GET", "DELETE")
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
    call.check_method("GET", "PUT", "DELETE")
    if call.method == "PUT":
        etag = call.header("if-match")
        return Response(200, _put(service, path, name, call.json(), etag, hubs))
    kind = KINDS[path][0]
    record = _enrollment(service, kind, name)
    if call.method == "GET":
        registration = service.store.registrations.get(name) if kind == "individual" else None
        state = {"registrationState": registration[2]} if registration else {}
        return Response(200, record | state)
    # If-Match is optional for a deletion. It is not for an update, which could undo another one.
    check_if_match(call, record, default="*")
    service.store.enrollments.delete(kind, name)
    return Response(204)


def _enrollment(service: HttpService, kind: str, name: str) -> dict:
    record = service.store.enrollments.get(kind, name)
    if record is None:
        raise ApiError(404, 404201, "Enrollment not found.")
    return record


def _put(
    service: HttpService, path: str, name: str, given: dict, etag: str | None, hubs: list[str]
) -> dict:
    """Create or replace an enrollment → its record. etag: of the one to replace.

    Raises ApiError.
    """
    kind, id_key, _ = KINDS[path]
    enrollments = service.store.enrollments
    before = enrollments.get(kind, name)
    if before and not etag:
        # azure-iot-sdk-csharp#3076 and azure-sdk-for-python#35187 report this of the service.
        raise ApiError(
            409, 409001, "The enrollment is there already.", cause="there is no If-Match header"
        )
    if before:
        check_etag(etag, before)
    elif kind == "group" and len(enrollments.of_kind("group", "", GROUP_LIMIT)) >= GROUP_LIMIT:
        raise ApiError(
            400, 400004, f"There are {GROUP_LIMIT} enrollment groups already: the limit."
        )
    if str(given.get(id_key, "")).lower() != name.lower():
        raise ApiError(400, 400004, f"{id_key} differs from that of the path.")
    if not valid_registration_id(name):
        raise ApiError(400, 400004, f"{id_key} is invalid.")
    record, thumbprints = read_record(service, path, given, hubs)
    for one in thumbprints:
        if enrollments.with_certificate(one) not in (None, (kind, name.lower())):
            raise ApiError(409, 409001, "The certificate is in another enrollment.")
    now = service.timestamp()
    record["etag"] = new_etag()
    record["createdDateTimeUtc"] = before["createdDateTimeUtc"] if before else now
    record["lastUpdatedDateTimeUtc"] = now
    enrollments.put(kind, name, record, thumbprints)
    return record


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
            etag = str(record.get("etag") or "none") if mode == "updateIfMatchETag" else "*"
            if mode == "delete":
                service.store.enrollments.delete(kind, name)
            else:
                _put(service, path, name, record, etag, hubs)
        except ApiError as error:
            details = {"errorCode": error.code, "errorStatus": error.message}
            errors.append({id_key: name, **details})
    return Response(200, {"isSuccessful": not errors, "errors": errors})


def _page(service: HttpService, call: Call, item_type: str, find, key: str) -> Response:
    """A page of a query. find: a function that takes the key, the last ID and the limit.

    Inferred: the order. The query of a group's registrations has no text.
    """
    query = call.json().get("query") if item_type != "deviceRegistration" else "SELECT *"
    matches = parse_query(query)
    count = call.header("x-ms-max-item-count")
    if count and not (count.isascii() and count.isdecimal() and int(count[:10]) > 0):
        raise ApiError(400, 400004, "x-ms-max-item-count is no number above 0.")
    limit = min(int(count[:10]), PAGE_LIMIT) if count else PAGE_LIMIT
    about = [item_type, key, str(query)]
    token, secret = call.header("x-ms-continuation") or "", service.store.service_key
    last, size, whole = read_continuation(secret, about, token), max(limit, BATCH), False
    page: list[dict] = []
    while len(page) < limit and not whole:
        found = find(key, last, size)
        whole = len(found) < size
        for name, record in found:
            last = name
            if matches(record):
                page.append(record)
            if len(page) == limit:
                break
    headers = {"x-ms-item-type": item_type}
    if len(page) == limit:
        headers["x-ms-continuation"] = continuation(secret, about, last)
    return Response(200, page, headers)
