"""A connection of MQTT 3.1.1, as far as DPS and the hub treat it alike.

A violation of the protocol closes the connection; but first, everything that the client has sent
before is committed and acknowledged. Source: MQTT 3.1.1 (OASIS, 2014-10-29).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from ..http_service import HttpService
from ..tls import Client, client_of
from .mqtt_packets import BAD_PROTOCOL, Fields, Kind, ViolationError, packet, split, string

CONNECT_S = 10
KEEP_ALIVE_S = 1177

FAILED = 0x80  # in a SUBACK (3.9.3)


@dataclass
class Connect:
    """The fields of a CONNECT (3.1).

    will  topic and payload of the last will; None if there is none
    """

    client_id: str
    user: str
    clean: bool
    keep_alive_s: int
    will: tuple[str, bytes] | None


@dataclass
class Publish:
    """The fields of a PUBLISH (3.3). packet_id: empty with QoS 0."""

    topic: str
    payload: bytes
    retain: bool
    packet_id: bytes


class RefusedError(Exception):
    """A CONNECT is refused. code: the return code of the CONNACK."""

    def __init__(self, code: int, why: str):
        super().__init__(why)
        self.code = code


def read_connect(fields: Fields) -> Connect:
    """Read a CONNECT. Raises RefusedError or ViolationError."""
    name, level, flags = fields.read_string(), fields.read(1)[0], fields.read(1)[0]
    keep_alive_s = fields.read_number()
    if name != "MQTT" or level != 4:
        raise RefusedError(BAD_PROTOCOL, f"protocol {name!r} {level}, and not MQTT 3.1.1")
    if flags & 1:
        raise ViolationError("a reserved flag of CONNECT")
    client_id = fields.read_string()
    will = (fields.read_string(), fields.read(fields.read_number())) if flags & 4 else None
    user = fields.read_string() if flags & 0x80 else ""
    return Connect(client_id, user, bool(flags & 2), keep_alive_s, will)


class MqttConnection(Protocol):
    """The connection of one client. A subclass has on_connect() and the other on_… methods.

    name    "" until the client has connected
    names   common names in its certificate chain
    """

    transport: Any

    def __init__(self, service: HttpService):
        self.service = service
        self.name = ""
        self.names: tuple[str, ...] = ()
        self.filters: dict[str, int] = {}  # subscribed filter → QoS
        self._data = b""
        self._closing = False
        self._timer: Any = reactor.callLater(CONNECT_S, self._timed_out)  # type: ignore
        self._timeout_s: float = CONNECT_S

    # What a subclass does.

    def on_connect(self, connect: Connect, client: Client) -> bool:
        """Accept a CONNECT → is an older session present? Raises RefusedError."""
        raise NotImplementedError

    def on_publish(self, publish: Publish) -> bool:
        """Handle a message → is it acknowledged? Raises ViolationError."""
        raise NotImplementedError

    def is_simulated(self, topic_filter: str) -> bool:
        """May the client subscribe to this filter?"""
        raise NotImplementedError

    def on_subscriptions(self) -> None:
        """The filters have changed."""

    def on_puback(self, packet_id: int) -> None:
        """The client has acknowledged a message."""

    def on_lost(self, by_client: bool) -> None:
        """The connection has ended. by_client: the client has sent DISCONNECT."""

    # What the connection does.

    def connectionMade(self) -> None:
        # What a client does not read is not answered: then nothing is read from it either.
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self._close()

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        try:
            while not self._closing and (found := split(self._data)):
                kind, flags, body, self._data = found
                if self._timer.active():
                    self._timer.reset(self._timeout_s)
                self._handle(kind, flags, body)
        except ViolationError as violation:
            self.end(str(violation))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self.name:
            self.on_lost(self._disconnected)

    _disconnected = False

    def _handle(self, kind: int, flags: int, body: bytes) -> None:
        """Handle one packet. Raises ViolationError."""
        fields = Fields(body)
        if (kind == Kind.CONNECT) == bool(self.name):
            raise ViolationError("a CONNECT that is not the first packet, or the only one")
        expected = 2 if kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE) else 0
        if flags != expected and kind != Kind.PUBLISH:
            raise ViolationError("reserved flags")
        match kind:
            case Kind.CONNECT:
                self._connect(fields)
            case Kind.PUBLISH:
                self._publish(flags, fields)
            case Kind.PUBACK:
                self.on_puback(fields.read_number())
            case Kind.SUBSCRIBE:
                self._subscribe(fields)
            case Kind.UNSUBSCRIBE:
                self._unsubscribe(fields)
            case Kind.PINGREQ:
                self.send(Kind.PINGRESP)
            case Kind.DISCONNECT:
                self._disconnected = True
                self.end("")
            case _:
                raise ViolationError(f"a packet of type {kind}")

    def _connect(self, fields: Fields) -> None:
        try:
            connect = read_connect(fields)
            client = client_of(self.transport.getHandle())
            self.names = client.names
            present = self.on_connect(connect, client)
        except RefusedError as refusal:
            self.send(Kind.CONNACK, bytes([0, refusal.code]))
            self.record("CONNECT", 401 if refusal.code > 3 else 400, str(refusal))
            self._close()
            return
        self.name = connect.client_id
        keep_alive_s = min(connect.keep_alive_s or KEEP_ALIVE_S, KEEP_ALIVE_S)
        self._timeout_s = keep_alive_s * 1.5  # 3.1.2.10
        self._timer.reset(self._timeout_s)
        self.record("CONNECT", 200, "")
        self.send(Kind.CONNACK, bytes([present, 0]))
        self.on_subscriptions()

    def _publish(self, flags: int, fields: Fields) -> None:
        qos = flags >> 1 & 3
        if qos > 1:
            raise ViolationError("a message with QoS 2")
        topic = fields.read_string()
        packet_id = fields.read(2) if qos else b""
        if packet_id == b"\0\0":
            raise ViolationError("packet ID 0")
        if not topic or "+" in topic or "#" in topic:  # 3.3.2.1
            raise ViolationError("a topic that is empty or has a wildcard")
        publish = Publish(topic, fields.data, bool(flags & 1), packet_id)
        self.service.context.commits.begin()
        if self.on_publish(publish) and qos:
            self.after_commit(lambda: self.send(Kind.PUBACK, packet_id))

    def _subscribe(self, fields: Fields) -> None:
        packet_id, granted = fields.read(2), b""
        if not fields.data:
            raise ViolationError("a SUBSCRIBE without a topic")
        while fields.data:
            topic_filter, qos = fields.read_string(), fields.read(1)[0]
            if qos > 2:
                raise ViolationError("a QoS above 2")
            if self.is_simulated(topic_filter):
                self.filters[topic_filter] = min(qos, 1)
                granted += bytes([min(qos, 1)])
            else:
                self.record("SUBSCRIBE", 400, "this topic is not simulated", topic_filter)
                granted += bytes([FAILED])
        self.send(Kind.SUBACK, packet_id + granted)
        self.on_subscriptions()

    def _unsubscribe(self, fields: Fields) -> None:
        packet_id = fields.read(2)
        while fields.data:
            self.filters.pop(fields.read_string(), None)
        self.on_subscriptions()
        self.send(Kind.UNSUBACK, packet_id)

    def publish(self, topic: str, payload: bytes, packet_id: int = 0, again: bool = False) -> None:
        """Send a message: with QoS 1 if it has a packet ID. again: it was sent before."""
        flags = (2 | again << 3) if packet_id else 0
        number = packet_id.to_bytes(2, "big") if packet_id else b""
        self.send(Kind.PUBLISH, string(topic) + number + payload, flags)

    def after_commit(self, done: Callable[[], None]) -> None:
        """Call a function when everything so far is committed."""
        commits = self.service.context.commits
        commits.begin()
        commits.then(done, self._commit_failed)

    def _commit_failed(self, failure: Failure) -> None:
        """A bug of the simulator's own: print it. The message is not acknowledged."""
        failure.printTraceback()
        self._close()

    def end(self, why: str) -> None:
        """Close the connection after all acknowledgements, and record why."""
        if self._closing:
            return
        self._closing = True
        if why:
            self.record("CLOSE", 0, why)
        self.after_commit(self._close)

    def _close(self) -> None:
        self._closing = True
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _timed_out(self) -> None:
        self.end("no packet in time")

    def send(self, kind: int, body: bytes = b"", flags: int = 0) -> None:
        if not self.transport.connected or self.transport.disconnecting:
            return
        self.transport.write(packet(kind, body, flags))

    def record(self, method: str, status: int, why: str, topic: str = "") -> None:
        path = f"mqtt:{topic or self.name}"
        name = self.service.name
        self.service.context.commits.record(name, method, path, status, self.names, why)


class MqttServer(Factory):
    """A service's MQTT server. make: a function that makes a connection."""

    def __init__(self, make: Callable[[], MqttConnection]):
        self._make = make

    def buildProtocol(self, addr) -> MqttConnection:
        return self._make()
