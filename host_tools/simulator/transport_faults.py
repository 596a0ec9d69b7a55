"""Answers that come in pieces, or not to their end: faults of the transport."""

from typing import Any

from twisted.internet import reactor
from twisted.web.http import Request


class Mangled:
    """Stands between an HTTP channel and its transport, and lets an answer through badly.

    drop     after so many bytes the connection breaks off, without TLS's close; None: never
    split    size of the pieces, each in a TLS record of its own; None: as they come
    every_s  time between two pieces
    """

    def __init__(self, transport: Any, drop: int | None, split: int | None, every_s: float):
        self._transport = transport
        self._left = drop
        self._split = split
        self._every_s = every_s
        self._pending = b""
        self._sending = False
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._pending += data
        self._go_on()

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self._closing = True
        self._go_on()

    def _go_on(self) -> None:
        if not self._sending:
            self._sending = True
            reactor.callLater(0, self._piece)  # type: ignore

    def _piece(self) -> None:
        self._sending = False
        if self._left == 0:
            self._transport.transport.loseConnection()
            return
        size = min(self._split or len(self._pending), len(self._pending))
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
        piece, self._pending = self._pending[:size], self._pending[size:]
        self._transport.write(piece)
        if self._pending or self._left == 0:
            self._sending = True
            reactor.callLater(self._every_s, self._piece)  # type: ignore
        elif self._closing:
            self._transport.loseConnection()


def mangle(request: Request, strikes: dict) -> None:
    """Let the answer to a request suffer the faults drop and split, if they strike it."""
    channel: Any = request.channel
    if isinstance(channel.transport, Mangled):  # the answer before this one was whole
        channel.transport = channel.transport._transport
    drop, split = strikes.get("drop"), strikes.get("split")
    if drop or split:
        channel.transport = Mangled(
            channel.transport,
            drop.number if drop else None,
            split.number if split else None,
            split.option("every") / 1000 if split else 0,
        )
