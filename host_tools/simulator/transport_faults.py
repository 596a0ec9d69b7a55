"""Transport faults: answers that come in pieces, or that break off."""

from typing import Any

from twisted.internet import reactor
from twisted.web.http import Request


class FaultyTransport:
    """Stands between an HTTP channel and its transport, and sends an answer with faults.

    drop     close the connection after this many bytes, without TLS's close; None: never
    split    send pieces of this size, each in its own TLS record; None: do not split
    every_s  seconds between two pieces
    """

    def __init__(self, transport: Any, drop: int | None, split: int | None, every_s: float):
        self._transport = transport
        self._left = drop
        self._split = split
        self._every_s = every_s
        self._pending = b""
        self._scheduled = False
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def original(self) -> Any:
        """The transport without faults."""
        return self._transport

    def write(self, data: bytes) -> None:
        self._pending += data
        self._schedule()

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self._closing = True
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            reactor.callLater(0, self._send_piece)  # type: ignore

    def _send_piece(self) -> None:
        self._scheduled = False
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
            self._scheduled = True
            reactor.callLater(self._every_s, self._send_piece)  # type: ignore
        elif self._closing:
            self._transport.loseConnection()


def apply_transport_faults(request: Request, faults: dict) -> None:
    """Apply the faults "drop" and "split" to the answer of a request, if they are among these."""
    channel: Any = request.channel
    if isinstance(channel.transport, FaultyTransport):  # from the answer before this one
        channel.transport = channel.transport.original
    drop, split = faults.get("drop"), faults.get("split")
    if drop or split:
        channel.transport = FaultyTransport(
            channel.transport,
            drop.number if drop else None,
            split.number if split else None,
            split.option("every") / 1000 if split else 0,
        )
