"""The base of the simulated HTTPS services: parse a request, write the response, record both."""

import functools
import json
import random
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from twisted.internet import defer, reactor, task
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import Request
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource

from .call import BODY_LIMIT, ApiError, Call, Response, timestamp
from .faults import Faults
from .limits import Limits
from .settings import Readings
from .store.group_commit import GroupCommit
from .store.store import Store
from .tls import Client, ServerTLS, client_of
from .transport_faults import apply_transport_faults

# Names of headers that begin like this are in lower case, as the services write them.
LOWER_CASE = (b"X-Ms-", b"Iothub-")


class ServiceHeaders(Headers):
    """Headers that are written in the services' spelling, which differs from Twisted's.

    own  a service's own headers, which are written as they are
    """

    __slots__ = ("own",)

    def getAllRawHeaders(self):
        headers = [(_spell(name), values) for name, values in super().getAllRawHeaders()]
        return headers + getattr(self, "own", [])


@functools.lru_cache(1000)
def _spell(name: bytes) -> bytes:
    return name.lower() if name.startswith(LOWER_CASE) else name


def _title(name: str) -> str:
    return "ETag" if name == "etag" else name.title()


@functools.lru_cache(1000)
def _encode(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, list[bytes]]]:
    """Headers as they are written: "retry-after" as Retry-After, "x-ms-error-code" as it is."""
    return [
        (
            (name if name.startswith(("x-ms-", "iothub-")) else _title(name)).encode(),
            [" ".join(value.splitlines()).encode()],
        )
        for name, value in headers
    ]


class BoundedRequest(server.Request):
    """A request whose body is stored up to the limit of the services, and no further."""

    defaultContentType = None  # type: ignore[assignment]  # a response without a body has no type

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.responseHeaders = ServiceHeaders()

    def handleContentChunk(self, data: bytes) -> None:
        room = BODY_LIMIT + 1 - self.content.tell()  # type: ignore[attr-defined]
        super().handleContentChunk(data[: max(0, room)])


@dataclass
class Context:
    """Shared by all services of a simulator.

    log       a function that takes one or more lines
    readings  how to read what the documents leave open
    """

    store: Store
    faults: Faults
    limits: Limits
    log: Callable[[str], None]
    readings: Readings = Readings()

    def __post_init__(self):
        self.commits = GroupCommit(self.store, self.log)


class HttpService(Resource):
    """One simulated service. A subclass has respond(), and changes error_response() if needed.

    host          its name and port, known when it listens
    service_host  the same for its service API
    mqtt_host     the same for its MQTT, if that differs
    aliases       other names of its own, in lower case
    """

    isLeaf = True
    host = service_host = mqtt_host = ""
    aliases: set[str] = set()  # noqa: RUF012  replaced, never changed

    def __init__(self, name: str, context: Context, tls: ServerTLS):
        super().__init__()
        self.name = name
        self.context = context
        self.store = context.store
        self.limits = context.limits
        self.tls = tls

    @property
    def names(self) -> set[str]:
        """The service's own names, in lower case, with its port and without."""
        return {self.host.lower(), self.host.rsplit(":", 1)[0].lower()} | self.aliases

    def respond(self, call: Call) -> Response:
        """Answer a call. Raises ApiError."""
        raise NotImplementedError

    def error_response(self, call: Call, error: ApiError) -> Response:
        """An error response as DPS has it. Newer hubs have the same."""
        body = {
            "errorCode": error.code,
            "trackingId": call.request_id,
            "message": error.message,
            "timestampUtc": self.timestamp(),
        }
        return Response(error.status, body)

    def now(self) -> float:
        """The service's clock, in seconds since 1970."""
        return time.time() + self.context.faults.skew_s(self.name)

    def timestamp(self) -> str:
        return timestamp(self.now())

    def refuse_connection(self, why: str) -> None:
        """Record that a connection was closed before there was a request."""
        self.context.commits.record(self.name, "CLOSE", "", 0, (), why)

    def render(self, request: Request) -> int:
        path = _parse_uri(request.uri)[0]
        faults = self.context.faults.trigger(self.name, path)
        client = client_of(request.channel.transport.getHandle())  # type: ignore[union-attr]
        if "slow" in faults or (self.tls.late and not client.chain):
            self._wait(request, client, faults).addErrback(self._internal_error, request)
        else:
            self._handle(request, client, faults)
        return server.NOT_DONE_YET

    @defer.inlineCallbacks
    def _wait(self, request: Request, client: Client, faults: dict):
        """Ask for a late certificate, and delay a slow answer, before the request is handled."""
        if not client.chain and self.tls.late == "close":
            self.context.commits.record(self.name, "", "", 0, (), "no certificate: closed")
            request.channel.transport.abortConnection()  # type: ignore[union-attr]
            return
        if not client.chain and self.tls.late == "renegotiate":
            try:
                yield self.tls.renegotiate(request)
            except Exception as error:
                why = f"the client refused to send its certificate late: {error}"
                self.context.commits.record(self.name, "", "", 0, (), why)
                return
            client = client_of(request.channel.transport.getHandle())  # type: ignore[union-attr]
        if slow := faults.get("slow"):
            yield task.deferLater(reactor, slow.number / 1000)  # type: ignore[arg-type]
        if request.channel:
            self._handle(request, client, faults)

    def _handle(self, request: Request, client: Client, faults: dict) -> None:
        """Handle a request. The response is written after the commit."""
        apply_transport_faults(request, faults)
        path, segments, query = _parse_uri(request.uri)
        call = Call(
            request,
            request.method.decode("latin-1"),
            segments,
            query,
            client,
            new_request_id(),
            faults,
        )
        commits = self.context.commits
        commits.begin()
        try:
            response, text = self.answer(call)
        except Exception:
            self._internal_error(Failure(), request)
            return
        commits.record(self.name, call.method, path, response.status, client.names, text)
        commits.then(
            lambda: self._write(request, call, response),
            lambda failure: self._internal_error(failure, request),
        )

    def answer(self, call: Call) -> tuple[Response, str]:
        """The response to a call, and the text for the log if it is an error."""
        try:
            return self._fault_response(call) or self.respond(call), ""
        except ApiError as error:
            response = self.error_response(call, error)
            if error.retry_after_s:
                response.headers["retry-after"] = str(error.retry_after_s)
            return response, error.log_text

    def _fault_response(self, call: Call) -> Response | None:
        """The response of a fault, if one replaces the service's own. Raises ApiError."""
        if fault := call.faults.get("redirect"):
            return Response(307, None, {"location": fault.value})
        if fault := call.faults.get("status"):
            code = fault.option("code", fault.number * 1000 + 1)
            retry_after_s = fault.option("retry-after")
            raise ApiError(fault.number, code, "A fault on request.", retry_after_s)
        return None

    def _write(self, request: Request, call: Call, response: Response) -> None:
        if not request.channel:  # the client has gone
            return
        request.setResponseCode(response.status)
        request.responseHeaders.removeHeader(b"server")  # Twisted's own
        if self.context.faults.skew_s(self.name):
            request.setHeader("date", formatdate(self.now(), usegmt=True))
        own = _encode(tuple(response.headers.items()))
        own = [*own, (b"x-ms-request-id", [call.request_id.encode()])]
        request.responseHeaders.own = own  # type: ignore[attr-defined]
        if response.body is None:
            request.setHeader("content-length", "0")
        elif isinstance(response.body, bytes):
            request.setHeader("content-length", str(len(response.body)))
            request.write(response.body)
        else:
            # Without Content-Length, Twisted sends it chunked, as DPS does.
            request.setHeader("content-type", "application/json; charset=utf-8")
            if request.method != b"HEAD":
                request.write(json.dumps(response.body, separators=(",", ":")).encode())
        request.finish()

    def _internal_error(self, failure: Failure, request: Request) -> None:
        """A bug of the simulator's own: print its traceback, and answer with 500."""
        failure.printTraceback(file=sys.stderr)
        if not request.startedWriting and request.channel:
            request.setResponseCode(500)
            request.finish()


def new_request_id() -> str:
    """A random UUID. Each request has one, and Python's own are slower."""
    text = f"{random.getrandbits(128):032x}"  # noqa: S311  not a secret
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


@functools.lru_cache(4096)
def _parse_uri(uri: bytes) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """The path, its segments, and the query's parameters. They are cached, so do not change them.

    Most requests have the same ones.
    """
    path, _, query = uri.decode("latin-1").partition("?")
    segments = tuple(urllib.parse.unquote(part) for part in path.split("/")[1:])
    return path, segments, dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
