"""An HTTP/1.1 connection of a simulated service, with deadlines for slow clients."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

# How long a client may take for the head of a request, and for its body, in seconds.
HEAD_S = 20
BODY_S = 120

# How connections of other protocols begin: their first bytes, a text soon after, and what to say.
OTHER_PROTOCOLS = (
    (b"\x10", b"MQTT", "a CONNECT of MQTT, which has a port of its own: 8883, or the next one"),
    (b"\x10", b"MQIs", "a CONNECT of MQTT 3.1: use MQTT 3.1.1, on its own port"),
    (b"AMQP", b"AMQP", "AMQP is not simulated: use HTTPS or MQTT"),
)


class Channel(HTTPChannel):
    """An HTTP/1.1 connection.

    It ignores everything after it has begun to close: Twisted's own reads on after a malformed
    request, and fails. It closes if a request takes too long to arrive, or is none but MQTT.
    """

    clock: Any = reactor  # tests have their own
    _closing = False
    _begun = False  # has any byte arrived on this connection?
    _waiting = False  # has a request arrived in part?
    _in_body = False
    site: Any
    transport: Any
    _timer: Any = None

    def dataReceived(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            for start, text, why in OTHER_PROTOCOLS:
                if data.startswith(start) and text in data[:12]:
                    self._end(why)
                    return
        self._waiting = True
        super().dataReceived(data)
        if self._waiting and not self._timer and not self._closing:
            part, limit_s = ("body", BODY_S) if self._in_body else ("head", HEAD_S)
            why = f"no whole {part} of a request within {limit_s} s"
            self._timer = self.clock.callLater(limit_s, self._end, why)

    def lineReceived(self, line: bytes) -> None:
        if not self._closing:
            super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        self._in_body = True
        if self._timer:
            self._stop_timer()
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._waiting = self._in_body = False
        if self._timer:
            self._stop_timer()
        super().allContentReceived()

    def loseConnection(self) -> None:
        self._closing = True
        self._stop_timer()
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        super().connectionLost(reason)

    def _stop_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _end(self, why: str) -> None:
        """Close the connection at once, and log why."""
        self._closing = True
        self._stop_timer()
        self.site.resource.refuse_connection(why)
        self.transport.abortConnection()
