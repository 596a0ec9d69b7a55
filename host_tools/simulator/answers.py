"""What the simulated services have in common: how a request is taken, answered and recorded."""

import base64
import datetime
import json
import sys
import time
import traceback
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet import defer
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from host_tools.certs import common_name
from host_tools.simulator.store import Store
from host_tools.simulator.tls import ServerTLS, client_chain

# The largest body that either service takes (IoT Hub: 256 KB).
BODY = 256 * 1024


@dataclass
class Answer:
    """A response: a body of None has no body at all."""

    status: int
    body: dict | list | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An error answer with Azure's errorCode."""

    def __init__(self, status: int, code: int, message: str):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass
class Call:
    """A request, taken apart."""

    request: Request
    method: str
    path: list[str]
    query: dict[str, str]
    chain: list[x509.Certificate]
    request_id: str

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
        return self.request.getHeader(name)


def timestamp(at: float | None = None) -> str:
    """UTC as DPS writes it: with seven digits behind the second."""
    moment = datetime.datetime.fromtimestamp(time.time() if at is None else at, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def etag() -> str:
    """An etag as DPS makes them: base64 of a quoted identifier."""
    return base64.b64encode(f'"{uuid.uuid4()}"'.encode()).decode()


def thumbprint(cert: x509.Certificate) -> str:
    return cert.fingerprint(hashes.SHA256()).hex().upper()


class Service(Resource):
    """One simulated service: answer() says what; this takes the request apart and writes it."""

    isLeaf = True

    def __init__(self, name: str, store: Store, tls: ServerTLS, log: Callable[[str], None]):
        super().__init__()
        self.name = name
        self.store = store
        self.tls = tls
        self.log = log

    def answer(self, call: Call) -> Answer:
        raise NotImplementedError

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        """DPS's error answer, which newer hubs give as well."""
        body = {
            "errorCode": refusal.code,
            "trackingId": call.request_id,
            "message": refusal.message,
            "timestampUtc": timestamp(),
        }
        return Answer(refusal.status, body)

    def render(self, request: Request) -> int:
        self._render(request).addErrback(self._failed, request)
        return NOT_DONE_YET

    @defer.inlineCallbacks
    def _render(self, request: Request):
        connection = request.channel.transport.getHandle()  # type: ignore[union-attr]
        chain = client_chain(connection)
        if self.tls.late == "close" and not chain:
            self.log(f"{self.name} closes without an answer: no certificate")
            self.store.add_request(self.name, "", "", 0, [], "no certificate")
            request.channel.transport.abortConnection()  # type: ignore[union-attr]
            return
        if self.tls.late == "renegotiate" and not chain:
            try:
                yield self.tls.ask_now(request)
            except Exception as refused:
                self.log(f"{self.name} client refused to be asked late for its certificate")
                self.store.add_request(self.name, "", "", 0, [], f"no renegotiation: {refused}")
                return
            chain = client_chain(connection)
        path, _, query = request.uri.decode("latin-1").partition("?")
        call = Call(
            request,
            request.method.decode("latin-1"),
            [urllib.parse.unquote(part) for part in path.split("/")[1:]],
            dict(urllib.parse.parse_qsl(query)),
            chain,
            str(uuid.uuid4()),
        )
        try:
            answer = self.answer(call)
            error = ""
        except Refusal as refusal:
            answer = self.refused(call, refusal)
            error = f"{refusal.code} {refusal.message}"
        self._write(request, call, answer)
        self.log(f"{self.name} {call.method} {path} {answer.status} {error}".rstrip())
        names = [common_name(cert) for cert in chain]
        self.store.add_request(self.name, call.method, path, answer.status, names, error)

    def _write(self, request: Request, call: Call, answer: Answer) -> None:
        request.setResponseCode(answer.status)
        headers = request.responseHeaders
        for name in ("server", "content-type"):  # Twisted's own
            headers.removeHeader(name)
        request.setHeader("x-ms-request-id", call.request_id)
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        if answer.body is None:
            request.setHeader("content-length", "0")
        else:
            # No Content-Length, so Twisted sends it chunked, as DPS does.
            request.setHeader("content-type", "application/json; charset=utf-8")
            if request.method != b"HEAD":
                request.write(json.dumps(answer.body, separators=(",", ":")).encode())
        request.finish()

    def _failed(self, failure, request: Request) -> None:
        """A fault of the simulator itself: shown with its traceback, and answered with 500."""
        traceback.print_exception(failure.value, file=sys.stderr)
        if not request.startedWriting and request.channel:
            request.setResponseCode(500)
            request.finish()
