"""A page to look at: what the simulator knows, for a browser on this machine. It changes nothing.

    GET /                 the page itself; its files are in the folder page/
    GET /api/overview     ID scope, hubs, totals, and a mark that differs once anything has changed
    GET /api/devices      a page of them by ID            search, afterId, afterHub, limit
    GET /api/enrollments  a page of them by kind and ID   search, afterKind, afterId, limit
    GET /api/messages     the last ones, newest first     hub and device, after, limit
    GET /api/rate         messages in each step of time   after
    GET /api/requests     the last ones, newest first     errors, after, limit

`after` is a number (or time) that was received before: only what is newer comes. Every answer has
an ETag. An error is 400, 403, 404 or 405 and {"error": what is wrong}.
"""

import hashlib
import json
import math
import secrets
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from twisted.web.http import CACHED
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from host_tools.simulator.admin import local
from host_tools.simulator.answers import Refusal
from host_tools.simulator.hub import NAMES, Hub
from host_tools.simulator.store import Store
from microdps import advice

FOLDER = Path(__file__).with_suffix("")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}

# The most rows in an answer, and characters of a text to search for.
ROWS = 500
SEARCH = 128

# A larger body is not looked into; of each, the characters to show, and the numbers to draw.
BODY = 16 * 1024
EXCERPT = 200
FIELDS = 12
DEPTH = 3

# The rate of messages: seconds in a step, steps.
STEP_S = 2
STEPS = 150


class Page(Resource):
    """The page, and what else is mounted below it.

    hubs  their hosts are shown
    """

    def __init__(self, store: Store, hubs: list[Hub]):
        super().__init__()
        self._leaf = _Leaf(store, hubs)

    def getChild(self, path: bytes, request: Request) -> IResource:
        return self._leaf  # type: ignore[return-value]


class _Leaf(Resource):
    isLeaf = True

    def __init__(self, store: Store, hubs: list[Hub]):
        super().__init__()
        self._store = store
        self._hubs = hubs
        self._id_scope = store.id_scope
        # Tells the page that the simulator was started anew, perhaps with another state.
        self._instance = secrets.token_hex(8)
        self._files = {
            path: ((FOLDER / name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }
        self._calls: dict[str, Callable[[dict[str, str]], dict]] = {
            "/api/overview": self._overview,
            "/api/devices": self._devices,
            "/api/enrollments": self._enrollments,
            "/api/messages": self._messages,
            "/api/rate": self._rate,
            "/api/requests": self._requests,
        }
        # Hub and ID of a device that was shown → how many messages it had, the last one's number.
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}

    def render(self, request: Request) -> bytes:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        try:
            body, kind = self._answer(request)
        except Refusal as refusal:
            request.setResponseCode(refusal.status)
            body, kind = _json({"error": refusal.message})
        request.setHeader("content-type", kind)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        if request.code == 200 and request.setETag(tag) is CACHED:
            return b""
        request.setHeader("content-length", str(len(body)))
        return b"" if request.method == b"HEAD" else body

    def _answer(self, request: Request) -> tuple[bytes, str]:
        """Body and type. Raises Refusal."""
        if not local(request):
            raise Refusal(403, 403000, "the host must be localhost")
        path, _, query = request.uri.decode("latin-1").partition("?")
        if path not in self._files and path not in self._calls:
            raise Refusal(404, 404000, "there is no such page")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            raise Refusal(405, 405000, "method not allowed")
        if path in self._files:
            return self._files[path]
        return _json(self._calls[path](_parameters(query)))

    def _overview(self, given: dict[str, str]) -> dict:
        _none_of(given)
        about = {"instance": self._instance, "idScope": self._id_scope}
        return about | {"hubs": [hub.host for hub in self._hubs]} | self._store.totals()

    def _devices(self, given: dict[str, str]) -> dict:
        search, limit = _search(given), _number(given, "limit", ROWS, 50)
        after = given.pop("afterId", ""), given.pop("afterHub", "")
        _none_of(given)
        found = self._store.find_devices(search, after, limit + 1)
        return {
            "devices": [self._device(*device) for device in found[:limit]],
            "more": len(found) > limit,
        }

    def _device(self, hub: str, name: str, record: dict) -> dict:
        count, last = self._counted.get((hub, name), (0, 0))
        more, newest = self._store.messages_of(hub, name, last)
        if more:
            count, last = self._counted[hub, name] = count + more, newest
        messages = self._store.last_messages((hub, name), last - 1, 1, 4 * EXCERPT) if last else []
        return {
            "id": name,
            "hub": hub,
            "registrationId": record.get("registrationId", ""),
            "kind": record.get("kind", ""),
            "status": record.get("status", "enabled"),
            "messages": count,
            "last": _message(*messages[0]) if messages else None,
        }

    def _enrollments(self, given: dict[str, str]) -> dict:
        search, limit = _search(given), _number(given, "limit", ROWS, 50)
        after = given.pop("afterKind", ""), given.pop("afterId", "")
        _none_of(given)
        found = self._store.find_enrollments(search, after, limit + 1)
        return {
            "enrollments": [_enrollment(*enrollment) for enrollment in found[:limit]],
            "more": len(found) > limit,
        }

    def _messages(self, given: dict[str, str]) -> dict:
        limit, after = _number(given, "limit", ROWS, 50), _number(given, "after")
        device = given.pop("hub", None), given.pop("device", None)
        _none_of(given)
        if (device[0] is None) != (device[1] is None):
            raise Refusal(400, 400000, "hub and device belong together")
        one = (device[0], device[1]) if device[0] is not None and device[1] is not None else None
        found = self._store.last_messages(one, after, limit, BODY)
        return {"messages": [_message(*message) for message in found]}

    def _rate(self, given: dict[str, str]) -> dict:
        """Only steps that are over."""
        end = int(time.time()) // STEP_S * STEP_S
        after = _number(given, "after", default=end - STEP_S * STEPS)
        _none_of(given)
        start = max(after // STEP_S * STEP_S, end - STEP_S * STEPS)
        times = list(range(start, end + 1, STEP_S))
        before = [self._store.messages_before(at) for at in times]
        counts = [more - less for less, more in zip(before, before[1:], strict=False)]
        ends = zip(times[1:], counts, strict=True)
        return {"stepS": STEP_S, "steps": [{"at": at, "count": count} for at, count in ends]}

    def _requests(self, given: dict[str, str]) -> dict:
        limit, after = _number(given, "limit", ROWS, 50), _number(given, "after")
        wrong = bool(_number(given, "errors", 1))
        _none_of(given)
        return {
            "requests": [
                {
                    "number": number,
                    "at": at,
                    "service": service,
                    "method": method,
                    "path": _shown(path),
                    "status": status,
                    "error": _shown(error),
                    "explanation": explanation(service, method, status, error),
                }
                for number, at, service, method, path, status, error in self._store.last_requests(
                    after, limit, wrong
                )
            ]
        }


def explanation(service: str, method: str, status: int, error: str) -> dict[str, str] | None:
    """What the device's own table says of an error: what happened, and what to check."""
    number = error.partition(" ")[0]
    if not error or method == "CLOSE":  # which says why by itself
        return None
    code = int(number) if number.isdecimal() and len(number) < 7 else status
    # A legacy hub tells it by a name.
    name = NAMES.get(code) or NAMES.get(status) if service == "hub" else None
    if service == "hub" and method == "CONNECT":
        name = "connack"
    elif not status:
        name = "late-certificate"
    happened, check = advice.lookup(name, code) if name else advice.lookup(code)
    return {"happened": happened, "check": check}


def numbers(body: bytes) -> dict[str, float]:
    """The numbers of a JSON body by their names, those of an inner object as outer.inner."""
    found: dict[str, float] = {}

    def look(name: str, value, depth: int) -> None:
        if isinstance(value, dict) and depth < DEPTH:
            for key, inner in value.items():
                look(f"{name}.{key}" if name else key, inner, depth + 1)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                return
            if math.isfinite(number) and len(found) < FIELDS:
                found[_shown(name or "value")] = number

    try:
        look("", json.loads(body), 0)
    except (ValueError, RecursionError):  # no JSON, so no numbers
        return {}
    return found


def _message(
    number: int, at: float, hub: str, device: str, size: int, body: bytes
) -> dict[str, object]:
    """A message as the page gets it. body: its beginning, or all of it."""
    return {
        "number": number,
        "at": at,
        "hub": hub,
        "device": device,
        "size": size,
        "body": _shown(body[: 4 * EXCERPT].decode(errors="replace"), size),
        "numbers": numbers(body) if size == len(body) else {},
    }


def _shown(text: str, size: int = 0) -> str:
    """The beginning of a text, without what would hide or turn the rest around."""
    clean = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:EXCERPT]
    )
    return clean if len(text) <= EXCERPT and size <= 4 * EXCERPT else f"{clean}…"


def _enrollment(kind: str, name: str, record: dict) -> dict:
    holder = record.get("attestation", {}).get("x509", {})
    authority = (holder.get("caReferences") or {}).get("primary")
    certs = holder.get("signingCertificates") or holder.get("clientCertificates") or {}
    about: dict[str, str] = next(
        (cert["info"] for cert in certs.values() if cert and "info" in cert), {}
    )
    one = record.get("iotHubHostName")
    return {
        "kind": kind,
        "id": record.get("registrationId") or record.get("enrollmentGroupId") or name,
        "key": name,
        "status": record.get("provisioningStatus", "enabled"),
        "certificate": authority or about.get("subjectName", ""),
        "until": "" if authority else about.get("notAfterUtc", ""),
        "policy": record.get("allocationPolicy", ""),
        "hubs": record.get("iotHubs") or ([one] if one else []),
        "deviceId": record.get("deviceId") or "",
    }


def _json(answer: dict) -> tuple[bytes, str]:
    body = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
    return body + b"\n", "application/json"


def _parameters(query: str) -> dict[str, str]:
    """The parameters of a query. Raises Refusal."""
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError as error:
        raise Refusal(400, 400000, "the query cannot be read") from error
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Refusal(400, 400000, "a parameter is given twice")
    return given


def _none_of(given: dict[str, str]) -> None:
    """All parameters were taken. Raises Refusal if not."""
    for name in given:
        raise Refusal(400, 400000, f"there is no parameter {_shown(name)}")


def _search(given: dict[str, str]) -> str:
    search = given.pop("search", "")
    if len(search) > SEARCH or "\0" in search:
        raise Refusal(400, 400000, f"search has at most {SEARCH} characters, none of them NUL")
    return search


def _number(given: dict[str, str], name: str, most: int = 2**53, default: int = 0) -> int:
    """A parameter that is a whole number. Raises Refusal."""
    text = given.pop(name, str(default))
    least = 1 if name == "limit" else 0
    valid = text.isascii() and text.isdecimal() and len(text) < 17 and least <= int(text) <= most
    if not valid:
        raise Refusal(400, 400000, f"{name} must be a whole number from {least} to {most}")
    return int(text)
