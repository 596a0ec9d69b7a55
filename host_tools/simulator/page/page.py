"""The simulator's web page: its files, and its API, for a browser on this machine.

GET / is the page; its other files are in the folder static/. api.py has the calls below /api/.
Every answer has an ETag. An error is 400, 403, 404 or 405 and {"error": text}.
"""

import hashlib
import json
from pathlib import Path

from twisted.web.http import CACHED
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from ..call import ApiError
from ..hub.device_api import Hub
from ..store.store import Store
from .admin import is_for_localhost
from .api import Api
from .parameters import parse_query

STATIC = Path(__file__).parent / "static"
SCRIPTS = (
    "actions.js",
    "chart.js",
    "connection.js",
    "devices.js",
    "dom.js",
    "enrollments.js",
    "message.js",
    "overview.js",
    "page.js",
    "requests.js",
    "table.js",
    "tabs.js",
    "telemetry.js",
)
# Path → file, content type.
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
} | {f"/{name}": (name, "text/javascript; charset=utf-8") for name in SCRIPTS}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


class Page(Resource):
    """The page. Other resources can be added below it.

    hubs  the page shows their hosts
    """

    def __init__(self, store: Store, hubs: list[Hub]):
        super().__init__()
        self._leaf = _Leaf(store, hubs)

    def getChild(self, path: bytes, request: Request) -> IResource:
        return self._leaf  # type: ignore[return-value]


class _Leaf(Resource):
    """The page's files and calls."""

    isLeaf = True

    def __init__(self, store: Store, hubs: list[Hub]):
        super().__init__()
        self._calls = Api(store, hubs).calls
        self._files = {
            path: ((STATIC / name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }

    def render(self, request: Request) -> bytes:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        try:
            body, kind = self._respond(request)
        except ApiError as error:
            request.setResponseCode(error.status)
            body, kind = _json({"error": error.message})
        request.setHeader("content-type", kind)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
        if request.code == 200 and request.setETag(tag) is CACHED:
            return b""
        request.setHeader("content-length", str(len(body)))
        return b"" if request.method == b"HEAD" else body

    def _respond(self, request: Request) -> tuple[bytes, str]:
        """Body and content type. Raises ApiError."""
        if not is_for_localhost(request):
            raise ApiError(403, 403000, "the host must be localhost")
        path, _, query = request.uri.decode("latin-1").partition("?")
        if path not in self._files and path not in self._calls:
            raise ApiError(404, 404000, "there is no such page")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            raise ApiError(405, 405000, "method not allowed")
        if path in self._files:
            return self._files[path]
        return _json(self._calls[path](parse_query(query)))


def _json(answer: dict) -> tuple[bytes, str]:
    body = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
    return body + b"\n", "application/json"
