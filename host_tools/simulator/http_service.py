"""What the simulated services have in common: how a request is taken, answered and recorded."""

import base64
import datetime
import functools
import json
import random
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from cryptography import x509
from twisted.internet import defer, reactor, task
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import HTTPChannel, Request
from twisted.web.resource import Resource

from .faults import Faults
from .limits import Limits
from .store.group_commit import Commits
from .store.store import Store
from .tls import Client, ServerTLS, client_of
from .transport_faults import mangle

# The largest body that either service takes (IoT Hub: 256 KB).
BODY = 256 * 1024


@dataclass
class Answer:
    """A response: a body of None has no body at all, bytes go as they are, the rest as JSON."""

    status: int
    body: dict | list | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An error answer with Azure's errorCode.

    retry_after_s  when the call may be repeated; 0: the answer does not say
    """

    def __init__(self, status: int, code: int, message: str, retry_after_s: int = 0):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class BoundedRequest(server.Request):
    """A request whose body takes no more room than the largest that a service accepts."""

    defaultContentType = None  # type: ignore[assignment]  # an answer without a body has none

    def handleContentChunk(self, data: bytes) -> None:
        room = BODY + 1 - self.content.tell()  # type: ignore[attr-defined]
        super().handleContentChunk(data[: max(0, room)])


class Channel(HTTPChannel):
    """HTTP/1.1, with an ear for nothing more once it has closed: Twisted's own goes on with what
    follows a malformed request, and fails at it."""

    _closing = False

    def lineReceived(self, line: bytes) -> None:
        if not self._closing:
            super().lineReceived(line)

    def loseConnection(self) -> None:
        self._closing = True
        super().loseConnection()


@dataclass
class Common:
    """What all services of a simulator share."""

    store: Store
    faults: Faults
    limits: Limits
    log: Callable[[str], None]

    def __post_init__(self):
        self.commits = Commits(self.store, self.log)


@dataclass
class Call:
    """A request, taken apart. strikes: the faults that it is to suffer."""

    request: Request
    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    client: Client
    request_id: str
    strikes: dict

    @property
    def chain(self) -> list[x509.Certificate]:
        return self.client.chain

    def json(self) -> dict:
        """The body, a JSON object. Raises Refusal."""
        try:
            value = json.loads(self.body() or b"{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            # Inferred: the code; documented is status 400.
            raise Refusal(400, 400004, "The request body is not a JSON object.")
        return value

    def body(self) -> bytes:
        """The body as it came. Raises Refusal if it is over the limit."""
        body = self.request.content.read(BODY + 1)  # type: ignore[attr-defined]
        if len(body) > BODY:
            raise Refusal(413, 413001, "The request body is too large.")
        return body

    def header(self, name: str) -> str | None:
        value = self.request.getHeader(name.encode())  # as text, it would have to be UTF-8
        return None if value is None else value.decode("latin-1")


def timestamp(at: float) -> str:
    """UTC as DPS writes it: with seven digits behind the second."""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def etag() -> str:
    """An etag as DPS makes them: base64 of a quoted identifier."""
    return base64.b64encode(f'"{uuid.uuid4()}"'.encode()).decode()


@functools.lru_cache(4096)
def _taken_apart(uri: bytes) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """The path, its segments, and the parameters of the query, not to be changed: most requests
    have the same ones."""
    path, _, query = uri.decode("latin-1").partition("?")
    segments = tuple(urllib.parse.unquote(part) for part in path.split("/")[1:])
    return path, segments, dict(urllib.parse.parse_qsl(query, keep_blank_values=True))


class Service(Resource):
    """One simulated service: answer() says what; this takes the request apart and writes it."""

    isLeaf = True

    def __init__(self, name: str, common: Common, tls: ServerTLS):
        super().__init__()
        self.name = name
        self.common = common
        self.store = common.store
        self.limits = common.limits
        self.tls = tls

    def answer(self, call: Call) -> Answer:
        raise NotImplementedError

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        """DPS's error answer, which newer hubs give as well."""
        body = {
            "errorCode": refusal.code,
            "trackingId": call.request_id,
            "message": refusal.message,
            "timestampUtc": self.timestamp(),
        }
        return Answer(refusal.status, body)

    def now(self) -> float:
        """The service's clock, in seconds since 1970."""
        return time.time() + self.common.faults.skew_s(self.name)

    def timestamp(self) -> str:
        return timestamp(self.now())

    def render(self, request: Request) -> int:
        path = _taken_apart(request.uri)[0]
        strikes = self.common.faults.strike(self.name, path)
        client = client_of(request.channel.transport.getHandle())  # type: ignore[union-attr]
        if "slow" in strikes or (self.tls.late and not client.chain):
            self._late(request, client, strikes).addErrback(self._failed, request)
        else:
            self._take(request, client, strikes)
        return server.NOT_DONE_YET

    @defer.inlineCallbacks
    def _late(self, request: Request, client: Client, strikes: dict):
        """What takes its time before the request is looked at."""
        if not client.chain and self.tls.late == "close":
            self.common.commits.record(self.name, "", "", 0, (), "no certificate: closed")
            request.channel.transport.abortConnection()  # type: ignore[union-attr]
            return
        if not client.chain and self.tls.late == "renegotiate":
            try:
                yield self.tls.ask_now(request)
            except Exception as refused:
                why = f"the client refused to be asked late for its certificate: {refused}"
                self.common.commits.record(self.name, "", "", 0, (), why)
                return
            client = client_of(request.channel.transport.getHandle())  # type: ignore[union-attr]
        if late := strikes.get("slow"):
            yield task.deferLater(reactor, late.number / 1000)  # type: ignore[arg-type]
        if request.channel:
            self._take(request, client, strikes)

    def _take(self, request: Request, client: Client, strikes: dict) -> None:
        mangle(request, strikes)
        path, segments, query = _taken_apart(request.uri)
        call = Call(
            request,
            request.method.decode("latin-1"),
            segments,
            query,
            client,
            str(uuid.UUID(int=random.getrandbits(128), version=4)),  # noqa: S311  no secret
            strikes,
        )
        commits = self.common.commits
        commits.begin()
        error = ""
        try:
            answer = self._struck(call) or self.answer(call)
        except Refusal as refusal:
            answer = self.refused(call, refusal)
            if refusal.retry_after_s:
                answer.headers["retry-after"] = str(refusal.retry_after_s)
            error = f"{refusal.code} {refusal.message}"
        except Exception:
            self._failed(Failure(), request)
            return
        commits.record(self.name, call.method, path, answer.status, client.names, error)
        commits.then(
            lambda: self._write(request, call, answer),
            lambda failure: self._failed(failure, request),
        )

    def _struck(self, call: Call) -> Answer | None:
        """What a fault answers in the service's place. Raises Refusal."""
        if fault := call.strikes.get("redirect"):
            return Answer(307, None, {"location": fault.value})
        if fault := call.strikes.get("status"):
            code = fault.option("code", fault.number * 1000 + 1)
            retry_after_s = fault.option("retry-after")
            raise Refusal(fault.number, code, "A fault on request.", retry_after_s)
        return None

    def _write(self, request: Request, call: Call, answer: Answer) -> None:
        if not request.channel:  # the client has left
            return
        request.setResponseCode(answer.status)
        if "server" not in answer.headers:
            request.responseHeaders.removeHeader("server")  # Twisted's own
        if self.common.faults.skew_s(self.name):
            request.setHeader("date", formatdate(self.now(), usegmt=True))
        request.setHeader("x-ms-request-id", call.request_id)
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        if answer.body is None:
            request.setHeader("content-length", "0")
        elif isinstance(answer.body, bytes):
            request.setHeader("content-length", str(len(answer.body)))
            request.write(answer.body)
        else:
            # No Content-Length, so Twisted sends it chunked, as DPS does.
            request.setHeader("content-type", "application/json; charset=utf-8")
            if request.method != b"HEAD":
                request.write(json.dumps(answer.body, separators=(",", ":")).encode())
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        """A fault of the simulator itself: shown with its traceback, and answered with 500."""
        failure.printTraceback(file=sys.stderr)
        if not request.startedWriting and request.channel:
            request.setResponseCode(500)
            request.finish()
