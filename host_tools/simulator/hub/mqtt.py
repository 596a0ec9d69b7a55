"""The simulated IoT hub over MQTT 3.1.1, for devices that send telemetry.

Source: "Communicate with an IoT hub using the MQTT protocol" (Azure documentation) for the user
name, the topics and the reasons to close a connection. A refused certificate gets return code 5:
azure-iot-sdk-c reports this of the real hub.
"""

import urllib.parse
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ..call import ApiError
from ..tls import Client, client_of
from .device_api import Hub
from .mqtt_packets import (
    BAD_CLIENT_ID,
    BAD_PROTOCOL,
    UNAUTHORIZED,
    Fields,
    Kind,
    ViolationError,
    packet,
    split,
)

MESSAGE_LIMIT = 256 * 1024
CONNECT_S = 10
KEEP_ALIVE_S = 1177

# A system property in a topic → the header of the same property over HTTPS.
SYSTEM_PROPERTIES = {
    "$.mid": "iothub-messageid",
    "$.cid": "iothub-correlationid",
    "$.ct": "content-type",
    "$.ce": "content-encoding",
}


class Connection(Protocol):
    """The connection of one device.

    device_id  "" until the device has connected
    names      common names in its certificate chain
    """

    transport: Any

    def __init__(self, server: "MqttServer"):
        self.server = server
        self.hub = server.hub
        self.device_id = ""
        self.names: tuple[str, ...] = ()
        self._data = b""
        self._closing = False
        self._timer: Any = reactor.callLater(CONNECT_S, self._timed_out)  # type: ignore
        self._timeout_s: float = CONNECT_S

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

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._timer.active():
            self._timer.cancel()
        if self.server.devices.get(self.device_id) is self:
            del self.server.devices[self.device_id]

    def _handle(self, kind: int, flags: int, body: bytes) -> None:
        """Handle one packet. Raises ViolationError."""
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
                self._send(Kind.UNSUBACK, fields.read(2))
            case Kind.PINGREQ:
                self._send(Kind.PINGRESP)
            case Kind.DISCONNECT:
                self.end("")
            case Kind.PUBACK:  # for a cloud-to-device message; this hub sends none by MQTT
                pass
            case _:
                raise ViolationError(f"a packet of type {kind}")

    def _connect(self, fields: Fields) -> None:
        name, level, flags = fields.read_string(), fields.read(1)[0], fields.read(1)[0]
        keep_alive = fields.read_number()
        if name != "MQTT" or level != 4:
            self._refuse(BAD_PROTOCOL, f"protocol {name} {level}")
            return
        client_id = fields.read_string()
        if flags & 4:  # a will
            fields.read_string()
            fields.read(fields.read_number())
        user = fields.read_string() if flags & 0x80 else ""
        host, _, rest = user.partition("/")
        device_id, _, query = rest.partition("/")
        if not client_id or client_id != device_id:
            self._refuse(BAD_CLIENT_ID, f"client ID {client_id!r}, user name {user!r}")
            return
        own = self.hub.host.rsplit(":", 1)[0]
        try:
            if host.lower() not in (own, self.hub.host) or not query.startswith("?api-version="):
                raise ApiError(401, 401002, f"user name {user!r}")
            client = client_of(self.transport.getHandle())
            self.hub.authorize(client, device_id)
        except ApiError as error:
            self._refuse(UNAUTHORIZED, error.log_text)
            return
        self._accept(device_id, client, keep_alive)

    def _accept(self, device_id: str, client: Client, keep_alive: int) -> None:
        before = self.server.devices.pop(device_id, None)
        if before:
            before.end("the device has connected again")
        self.device_id = device_id
        self.names = client.names
        self.server.devices[device_id] = self
        self._timeout_s = min(keep_alive or KEEP_ALIVE_S, KEEP_ALIVE_S) * 1.5  # 3.1.2.10
        self._timer.reset(self._timeout_s)
        self._record("CONNECT", 200, "")
        self._send(Kind.CONNACK, b"\0\0")

    def _publish(self, flags: int, fields: Fields) -> None:
        qos = flags >> 1 & 3
        if qos > 1 or flags & 1:
            raise ViolationError("QoS 2, or a retained message")
        topic = fields.read_string()
        packet_id = fields.read(2) if qos else b""
        if packet_id == b"\0\0":
            raise ViolationError("packet ID 0")
        prefix = f"devices/{self.device_id}/messages/events/"
        if not topic.startswith(prefix):
            raise ViolationError(f"topic {topic}")
        if len(fields.data) > MESSAGE_LIMIT:
            raise ViolationError("a message over 256 KB")
        pairs = urllib.parse.parse_qsl(topic.removeprefix(prefix), keep_blank_values=True)
        properties = {
            SYSTEM_PROPERTIES.get(name, f"iothub-app-{name.lower()}"): value
            for name, value in pairs
        }
        commits = self.hub.context.commits
        commits.begin()
        try:
            self.hub.accept(self.device_id, properties, fields.data)
        except ApiError as error:  # inferred: MQTT 3.1.1 has no other way to refuse a message
            raise ViolationError(error.message) from error
        self._record("PUBLISH", 200, "", topic)
        if qos:
            commits.then(lambda: self._send(Kind.PUBACK, packet_id), self._commit_failed)

    def _commit_failed(self, failure: Failure) -> None:
        """A bug of the simulator's own: print it. The message is not acknowledged."""
        failure.printTraceback()
        self.end("the message could not be kept")

    def _subscribe(self, fields: Fields) -> None:
        packet_id = fields.read(2)
        granted = b""
        while fields.data:
            topic, qos = fields.read_string(), fields.read(1)[0]
            own = f"devices/{self.device_id}/messages/devicebound/"
            granted += bytes([min(qos, 1)]) if topic.startswith(own) else b"\x80"
        self._send(Kind.SUBACK, packet_id + granted)

    def _refuse(self, code: int, why: str) -> None:
        """Refuse a CONNECT with a return code, and record why."""
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

    def _timed_out(self) -> None:
        self.end("no packet in time")

    def _send(self, kind: int, body: bytes = b"") -> None:
        self.transport.write(packet(kind, body))

    def _record(self, method: str, status: int, why: str, topic: str = "") -> None:
        path = f"mqtt:{topic or self.device_id}"
        self.hub.context.commits.record("hub", method, path, status, self.names, why)


class MqttServer(Factory):
    """A hub's MQTT server. devices: device ID → its connection, one for each device."""

    def __init__(self, hub: Hub):
        self.hub = hub
        hub.mqtt = self
        self.devices: dict[str, Connection] = {}

    def buildProtocol(self, addr) -> Connection:
        return Connection(self)
