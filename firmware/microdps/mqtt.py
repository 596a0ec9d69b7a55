"""Telemetry to the assigned IoT hub over MQTT 3.1.1, QoS 1: a flow. For hubs that ask for the
device's certificate in the first handshake only here, on port 8883.

One message is on its way at a time: send() ends with its PUBACK. A publish is one write.

Sources: MQTT 3.1.1 (OASIS, 2014-10-29), whose sections are named below; Azure documentation,
"Communicate with an IoT hub using the MQTT protocol".
"""

from micropython import const

from microdps.errors import Error, LinkError, ProtocolError
from microdps.http import CLOSE, NOW, split_host
from microdps.hub import encode

_API = "/?api-version=2021-04-12"
_PORT = const(8883)

# Seconds after which the hub closes a connection without a packet, times 1.5 (3.1.2.10). IoT Hub
# takes up to 1177.
KEEP_ALIVE_S = const(240)

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_PUBLISH_QOS_1 = const(0x32)
_PUBACK = const(0x40)
_PINGREQ = const(0xC0)
_PINGRESP = const(0xD0)

# MQTT 4, clean session, a user name (3.1.2.3).
_FLAGS = const(0x82)


def address(hub: str) -> str:
    """`name:port` of a hub's MQTT. A hub that carries a port, as only a simulated one does, has
    its MQTT on the next."""
    name, port = split_host(hub)
    return "%s:%d" % (name, port + 1 if ":" in hub else _PORT)


def topic(device_id: str, bag: str) -> bytes:
    """Where a device publishes a message, with its properties (microdps.properties.bag)."""
    return ("devices/%s/messages/events/%s" % (device_id, bag)).encode()


class Mqtt:
    """A kept connection to one hub's MQTT. It shares the buffer of a microdps.http.Connection: of
    the two, one is open at a time.

    After a LinkError or a ProtocolError the connection is closed, and can be used again.
    """

    def __init__(self, connection):
        self._buf = connection.buf
        self._view = connection.view
        self._plain = b""  # the topic of a message without properties
        self._hub = None  # that has accepted the connection, and owes us nothing
        self._address = ""  # of its MQTT
        self._id = self._acknowledged = 0  # of the last message
        self._sent_ms = 0  # when the last packet was

    def send(self, hub: str, device_id: str, name: bytes, data, timeout_ms: int):
        """Flow: publish one message → it has been accepted.

        hub   host name of the assigned hub
        name  as topic() gives it
        data  bytes-like

        Raises ServiceError if the hub refuses the connection; LinkError, whose written tells
        whether the hub can have taken the message; ProtocolError; ValueError if the properties
        are too long.
        """
        self._sent_ms = yield NOW
        if self._hub != hub:
            self._address = address(hub)
            yield CLOSE
        kept = yield "open", (self._address, timeout_ms)
        self._hub = None  # until it has acknowledged the message
        if not kept:
            yield from self._connect(hub, device_id)
        self._id = self._id % 65535 + 1
        n = self._head(_PUBLISH_QOS_1, 4 + len(name) + len(data))
        n = self._string(n, name)
        n = self._number(n, self._id)
        rest = data
        if n + len(data) <= len(self._buf):
            n = self._bytes(n, data)
            rest = None
        written = False
        try:
            yield "send", self._view[:n]
            written = True
            if rest:
                yield "send", memoryview(rest)
            # Mostly it comes alone and whole; then there is no need of another generator.
            n = yield "recv", self._view
            if n == 4 and self._is(_PUBACK, 4, self._id):
                self._acknowledged = self._id
                whole = True
            else:
                whole = yield from self._answer(_PUBACK, self._id, hub, n)
        except LinkError as error:
            error.written = written
            raise
        if whole:
            self._hub = hub

    def message(self, session, data, properties, system):
        """The flow that sends a message of a microdps.device.Session."""
        hub, device_id = session.assignment[:2]
        name = self._plain
        if properties or system or not name:
            from microdps.properties import bag

            name = topic(device_id, bag(properties, **system))
            if not properties and not system:
                self._plain = name
        return self.send(hub, device_id, name, encode(data), session.timeout_ms)

    def ping(self, session):
        """Flow: keep the connection, if there is one and it is time; one that was lost is opened
        anew. What fails is logged, and the next message opens one."""
        now = yield NOW
        if not self._hub or now - self._sent_ms < KEEP_ALIVE_S * 500:
            return
        hub, self._hub = self._hub, None
        self._sent_ms = now
        try:
            kept = yield "open", (self._address, session.timeout_ms)
            if kept:
                self._head(_PINGREQ, 0)
                yield "send", self._view[:2]
                kept = yield from self._answer(_PINGRESP, 0, hub)
            else:
                yield from self._connect(hub, session.assignment.device_id)
                kept = True
            if kept:
                self._hub = hub
        except Error as error:
            session.log("connection lost: %s", error)

    def connect(self, hub: str, device_id: str, timeout_ms: int):
        """Flow: connect to a hub, without sending a message. Raises as send() does."""
        yield CLOSE
        yield "open", (address(hub), timeout_ms)
        yield from self._connect(hub, device_id)

    def _connect(self, hub: str, device_id: str):
        self._acknowledged = 0
        client = device_id.encode()
        user = ("%s/%s%s" % (split_host(hub)[0], device_id, _API)).encode()
        n = self._head(_CONNECT, 14 + len(client) + len(user))
        n = self._string(n, b"MQTT")
        n = self._bytes(n, bytes((4, _FLAGS, KEEP_ALIVE_S >> 8, KEEP_ALIVE_S & 255)))
        n = self._string(self._string(n, client), user)
        yield "send", self._view[:n]
        yield from self._answer(_CONNACK, 0, hub)
        code = self._buf[3]
        if code:
            yield CLOSE
            from microdps.service import connack

            raise connack(code, hub)

    def _answer(self, kind: int, number: int, hub: str, have: int = 0):
        """Flow: wait for a packet, which lies at the begin of the buffer then → has nothing come
        behind it?

        number  what the packet's two bytes must be; 0 for those that have no packet ID
        have    bytes that have come already

        One more acknowledgement of the message before is passed over: the hub may repeat it.
        """
        buf = self._buf
        try:
            while True:
                # All that a hub has to say here has at most two bytes behind its length (2.2.3).
                if have and (buf[0] not in (kind, _PUBACK) or (have > 1 and buf[1] > 2)):
                    raise ProtocolError("mqtt", hub)
                if have < 2 or have < 2 + buf[1]:
                    n = yield "recv", self._view[have:]
                    if not n:
                        raise LinkError("closed", hub)
                    have += n
                    continue
                end = 2 + buf[1]
                if self._is(kind, 2 if kind == _PINGRESP else 4, number):
                    self._acknowledged = number or self._acknowledged
                    return have == end
                if not self._acknowledged or not self._is(_PUBACK, 4, self._acknowledged):
                    raise ProtocolError("mqtt", hub)
                have -= end
                self._view[:have] = self._view[end : end + have]
        except (LinkError, ProtocolError):
            yield CLOSE
            raise

    def _is(self, kind: int, end: int, number: int) -> bool:
        """Does the buffer begin with this packet, of so many bytes?"""
        buf = self._buf
        if buf[0] != kind or buf[1] != end - 2:
            return False
        return not number or buf[2] << 8 | buf[3] == number

    def _head(self, kind: int, length: int) -> int:
        """Begin a packet in the buffer → where it goes on."""
        buf = self._buf
        buf[0] = kind
        n = 1
        while length > 127:
            buf[n] = length & 127 | 128
            length >>= 7
            n += 1
        buf[n] = length
        return n + 1

    def _string(self, n: int, data: bytes) -> int:
        return self._bytes(self._number(n, len(data)), data)

    def _number(self, n: int, number: int) -> int:
        self._buf[n] = number >> 8
        self._buf[n + 1] = number & 255
        return n + 2

    def _bytes(self, n: int, data) -> int:
        end = n + len(data)
        if end > len(self._buf):
            raise ValueError("no message: its properties are too long")
        self._buf[n:end] = data
        return end
