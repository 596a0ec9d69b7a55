"""A call of a simulated service: the request, the response, and the error."""

import base64
import datetime
import functools
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from .tls import Client

# The largest body that DPS or IoT Hub accepts.
BODY_LIMIT = 256 * 1024


@dataclass
class Response:
    """A response. body: None for no body, bytes as they are, everything else as JSON."""

    status: int
    body: dict | list | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """An error response with Azure's errorCode.

    retry_after_s  seconds after which the call may be repeated; 0: no Retry-After header
    cause          what the service knows and does not tell: for the log and the page only
    """

    def __init__(
        self, status: int, code: int, message: str, retry_after_s: int = 0, cause: str = ""
    ):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.cause = cause

    @property
    def log_text(self) -> str:
        """The error in the log and on the page."""
        return f"{self.code} {self.message}" + (f" ({self.cause})" if self.cause else "")


@dataclass
class Call:
    """A parsed request.

    request  of Twisted; None over MQTT
    path     the segments of the path
    faults   the faults that apply to it: kind → Fault
    """

    request: Any
    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    client: Client
    request_id: str
    faults: dict

    def check_method(self, *methods: str) -> None:
        """Raises ApiError unless the call has one of these methods."""
        if self.method not in methods:
            raise ApiError(405, 405000, "Method not allowed")

    def json(self) -> dict:
        """The body, which must be a JSON object, and be declared as JSON. Raises ApiError."""
        body = self.body()
        kind = self.header("content-type")
        if (body or kind) and not _is_json(kind or ""):
            # Inferred: the code. The status 415 is documented.
            cause = f"the Content-Type is {kind!r}" if kind else "there is no Content-Type"
            message = "The Content-Type is not application/json."
            raise ApiError(415, 415000, message, cause=cause)
        try:
            value = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            # Inferred: the code. The status 400 is documented.
            raise ApiError(400, 400004, "The request body is not a JSON object.")
        return value

    def body(self) -> bytes:
        """The body's bytes. Raises ApiError if it is over the limit."""
        body = self.request.content.read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise ApiError(413, 413001, "The request body is too large.")
        return body

    def header(self, name: str) -> str | None:
        value = self.request.getHeader(name.encode())  # with a str, it would have to be UTF-8
        return None if value is None else value.decode("latin-1")


def _is_json(content_type: str) -> bool:
    """Is it application/json or text/json, with parameters or without?"""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json")


@functools.lru_cache(4096)
def lower_case(path: tuple[str, ...]) -> list[str]:
    """The segments of a path in lower case, to match a path without regard to case."""
    return [segment.lower() for segment in path]


def timestamp(at: float) -> str:
    """UTC in DPS's form, with seven digits after the second."""
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def new_etag() -> str:
    """An etag in DPS's form: base64 of a quoted identifier."""
    return base64.b64encode(f'"{uuid.uuid4()}"'.encode()).decode()
