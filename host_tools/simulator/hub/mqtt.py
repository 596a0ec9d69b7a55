"""The simulated IoT hub's MQTT 3.1.1, as far as a device that sends telemetry sees it.

Sources: MQTT 3.1.1 (OASIS, 2014-10-29), whose sections are named below; Azure documentation,
"Communicate with an IoT hub using the MQTT protocol": the user name, the topics, what closes the
connection. A refused certificate gets return code 5, as azure-iot-sdk-c reports it of the hub.
"""

import enum
import urllib.parse
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ..http_service import Refusal
from ..tls import client_of
from .device_api import Hub

# The largest packet: a message of 256 KB, its topic and packet ID.
PACKET = 256 * 1024 + 65540
CONNECT_S = 10
KEEP_ALIVE_S = 1177


class Kind(enum.IntEnum):
    """Types of packets (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


BAD_PROTOCOL, BAD_CLIENT_ID, UNAUTHORIZED = 1, 2, 5

# A system property's name in a bag → the header that a message over HTTPS has it in.
SYSTEM = {
    "$.mid": "iothub-messageid",
    "$.cid": "iothub-correlationid",
    "$.ct": "content-type",
    "$.ce": "content-encoding",
}


class ViolationError(Exception):
    """A packet that the hub answers by closing the connection."""


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """A packet with its fixed header (2.2)."""
    head = bytearray([kind << 4 | flags])
    length = len(body)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes(head) + bytes([length]) + body


def split(data: bytes) -> tuple[int, int, bytes, bytes] | None:
    """The first packet → its kind, flags and body, and what follows; None if more is to come.

    Raises ViolationError for a length that is none, or over the limit.
    """
    length = 0
    for at in range(1, 5):
        if at >= len(data):
            return None
        length |= (data[at] & 127) << 7 * (at - 1)
        if data[at] < 128:
            break
    else:
        raise ViolationError("a length of more than four bytes")
    if length > PACKET:
        raise ViolationError("a packet over the limit")
    end = at + 1 + length
    if end > len(data):
        return None
    return data[0] >> 4, data[0] & 15, data[at + 1 : end], data[end:]


class Fields:
    """Reads a packet's fields one after the other. Raises ViolationError if they end early."""

    def __init__(self, data: bytes):
        self.data = data

    def take(self, n: int) -> bytes:
        if n > len(self.data):
            raise ViolationError("a packet that is too short")
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(2))

    def string(self) -> str:
        try:
            text = self.take(self.number()).decode()
        except UnicodeDecodeError as error:
            raise ViolationError("a string that is no UTF-8") from error
        if "\0" in text:
            raise ViolationError("a string with a null character")
        return text


class Connection(Protocol):
    """One device's connection."""

    transport: Any

    def __init__(self, server: "Mqtt"):
        self.server = server
        self.hub = server.hub
        self.device_id = ""
        self.names: tuple[str, ...] = ()
        self._data = b""
        self._closing = False
        self._timer: Any = reactor.callLater(CONNECT_S, self._late)  # type: ignore
        self._patience_s: float = CONNECT_S

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        try:
            while not self._closing and (found := split(self._data)):
                kind, flags, body, self._data = found
                if self._timer.active():
                    self._timer.reset(self._patience_s)
                self._packet(kind, flags, body)
        except ViolationError as violation:
            self.end(str(violation))

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self.server.devices.get(self.device_id) is self:
            del self.server.devices[self.device_id]

    def _packet(self, kind: int, flags: int, body: bytes) -> None:
        fields = Fields(body)
        if (kind == Kind.CONNECT) == bool(self.device_id):
            raise ViolationError("a CONNECT that is not the first packet, or the only one")
        if (
            flags != (2 if kind in (Kind.SUBSCRIBE, Kind.UNSUBSCRIBE) else 0)
            and kind != Kind.PUBLISH
        ):
            raise ViolationError("reserved flags")
        match kind:
            case Kind.CONNECT:
                self._connect(fields)
            case Kind.PUBLISH:
                self._publish(flags, fields)
            case Kind.SUBSCRIBE:
                self._subscribe(fields)
            case Kind.UNSUBSCRIBE:
                self._send(Kind.UNSUBACK, fields.take(2))
            case Kind.PINGREQ:
                self._send(Kind.PINGRESP)
            case Kind.DISCONNECT:
                self.end("")
            case Kind.PUBACK:  # of a cloud-to-device message; there is none yet
                pass
            case _:
                raise ViolationError(f"a packet of type {kind}")

    def _connect(self, fields: Fields) -> None:
        name, level, flags = fields.string(), fields.take(1)[0], fields.take(1)[0]
        keep_alive = fields.number()
        if name != "MQTT" or level != 4:
            self._refuse(BAD_PROTOCOL, f"protocol {name} {level}")
            return
        client_id = fields.string()
        if flags & 4:  # a will
            fields.string()
            fields.take(fields.number())
        user = fields.string() if flags & 0x80 else ""
        host, _, rest = user.partition("/")
        device_id, _, query = rest.partition("/")
        if not client_id or client_id != device_id:
            self._refuse(BAD_CLIENT_ID, f"client ID {client_id!r}, user name {user!r}")
            return
        own = self.hub.host.rsplit(":", 1)[0]
        try:
            if host.lower() not in (own, self.hub.host) or not query.startswith("?api-version="):
                raise Refusal(401, 401002, f"user name {user!r}")
            client = client_of(self.transport.getHandle())
            self.hub.authorize(client, device_id)
        except Refusal as refusal:
            self._refuse(UNAUTHORIZED, f"{refusal.code} {refusal.message}")
            return
        before = self.server.devices.pop(device_id, None)
        if before:
            before.end("the device has connected anew")
        self.device_id = device_id
        self.names = client.names
        self.server.devices[device_id] = self
        self._patience_s = min(keep_alive or KEEP_ALIVE_S, KEEP_ALIVE_S) * 1.5  # 3.1.2.10
        self._timer.reset(self._patience_s)
        self._record("CONNECT", 200, "")
        self._send(Kind.CONNACK, b"\0\0")

    def _publish(self, flags: int, fields: Fields) -> None:
        quality = flags >> 1 & 3
        if quality > 1 or flags & 1:
            raise ViolationError("QoS 2, or a retained message")
        topic = fields.string()
        number = fields.take(2) if quality else b""
        if number == b"\0\0":
            raise ViolationError("packet ID 0")
        prefix = f"devices/{self.device_id}/messages/events/"
        if not topic.startswith(prefix):
            raise ViolationError(f"topic {topic}")
        if len(fields.data) > 256 * 1024:
            raise ViolationError("a message over 256 KB")
        pairs = urllib.parse.parse_qsl(topic.removeprefix(prefix), keep_blank_values=True)
        properties = {
            SYSTEM.get(name, f"iothub-app-{name.lower()}"): value for name, value in pairs
        }
        commits = self.hub.common.commits
        commits.begin()
        try:
            self.hub.accept(self.device_id, properties, fields.data)
        except Refusal as refusal:  # inferred: MQTT 3.1.1 has no other way to say no
            raise ViolationError(refusal.message) from refusal
        self._record("PUBLISH", 200, "", topic)
        if quality:
            commits.then(lambda: self._send(Kind.PUBACK, number), self._not_kept)

    def _not_kept(self, failure: Failure) -> None:
        """A fault of the simulator itself: shown, and the message is not acknowledged."""
        failure.printTraceback()
        self.end("the message could not be kept")

    def _subscribe(self, fields: Fields) -> None:
        number = fields.take(2)
        granted = b""
        while fields.data:
            topic, quality = fields.string(), fields.take(1)[0]
            own = f"devices/{self.device_id}/messages/devicebound/"
            granted += bytes([min(quality, 1)]) if topic.startswith(own) else b"\x80"
        self._send(Kind.SUBACK, number + granted)

    def _refuse(self, code: int, why: str) -> None:
        self._send(Kind.CONNACK, bytes([0, code]))
        self._record("CONNECT", 401 if code == UNAUTHORIZED else 400, why)
        self._closing = True
        self.transport.loseConnection()

    def end(self, why: str) -> None:
        """Close the connection, and record why."""
        if why:
            self._record("CLOSE", 0, why)
        self._closing = True
        self.transport.loseConnection()

    def _late(self) -> None:
        self.end("no packet in time")

    def _send(self, kind: int, body: bytes = b"") -> None:
        self.transport.write(packet(kind, body))

    def _record(self, what: str, status: int, why: str, topic: str = "") -> None:
        path = f"mqtt:{topic or self.device_id}"
        self.hub.common.commits.record("hub", what, path, status, self.names, why)


class Mqtt(Factory):
    """The MQTT side of a hub: its devices' connections, one for each."""

    def __init__(self, hub: Hub):
        self.hub = hub
        hub.mqtt = self
        self.devices: dict[str, Connection] = {}

    def buildProtocol(self, addr) -> Connection:
        return Connection(self)
