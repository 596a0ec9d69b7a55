"""Telemetry to the assigned IoT hub over MQTT 3.1.1, QoS 1: a flow. For hubs that ask for the
device's certificate in the first handshake only here, on port 8883.

One message is on its way at a time: send() ends with its PUBACK. A publish is one write.

Sources: MQTT 3.1.1 (OASIS, 2014-10-29), whose sections are named below; Azure documentation,
"Communicate with an IoT hub using the MQTT protocol".
"""

from micropython import const

from microdps.errors import Error, LinkError, ProtocolError

_API = const("/?api-version=2021-04-12")
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
    # Here, because a function of another module keeps all of it in memory.
    from microdps.protocol.url import split_host

    name, port = split_host(hub)
    return "%s:%d" % (name, port + 1 if ":" in hub else _PORT)


def topic(device_id: str, bag: str) -> bytes:
    """Where a device publishes a message, with its properties (see properties.bag)."""
    return ("devices/%s/messages/events/%s" % (device_id, bag)).encode()


class Mqtt:
    """A kept connection to one hub's MQTT.

    owner  has the buffer that packets are written and read in: buf, and view, its memoryview

    After a LinkError or a ProtocolError the connection is closed, and can be used again.
    """

    def __init__(self, owner):
        self.buf = owner.buf
        self.view = owner.view
        self.topic = b""  # the topic of a message without properties
        self.hub = None  # that has accepted the connection, and owes us nothing
        self.where = ""  # of its MQTT
        self.id = self.acknowledged = 0  # of the last message
        self.sent_ms = 0  # when the last packet was

    def send(self, hub: str, device_id: str, name: bytes, data, timeout_ms: int):
        """Flow: publish one message → it has been accepted.

        name  as topic() gives it. data: bytes-like

        Raises ServiceError if the hub refuses the connection; LinkError, whose written tells
        whether the hub can have taken the message; ProtocolError; ValueError if the properties
        are too long.
        """
        self.sent_ms = yield "now", None
        if self.hub != hub:
            self.where = address(hub)
            yield "close", None
        kept = yield "open", (self.where, timeout_ms)
        self.hub = None  # until it has acknowledged the message
        if not kept:
            yield from self.handshake(hub, device_id)
        n = self.publish(name, len(data))
        end = self.bytes(n, data) if n + len(data) <= len(self.buf) else 0
        written = False
        try:
            yield "send", self.view[: end or n]
            written = True
            if not end:
                yield "send", memoryview(data)
            # Mostly it comes alone and whole; then there is no need of another generator.
            n = yield "recv", self.view
            if not n:
                yield "close", None
                raise LinkError("closed", hub)
            whole = n == 4 and self.is_packet(_PUBACK, 4, self.id)
            if whole:
                self.acknowledged = self.id
            else:
                whole = yield from self.answer(_PUBACK, self.id, hub, n)
        except LinkError as error:
            error.written = written
            raise
        if whole:
            self.hub = hub

    def publish(self, name: bytes, size: int) -> int:
        """Put the beginning of a PUBLISH into the buffer → its end; size bytes of data follow."""
        self.id = self.id % 65535 + 1
        n = self.head(_PUBLISH_QOS_1, 4 + len(name) + size)
        n = self.string(n, name)
        return self.number(n, self.id)

    def message(self, session, body, properties, system):
        """Flow: send a message of a microdps.session.Session."""
        hub, device_id = session.assignment[:2]
        if "#" in device_id or "+" in device_id:  # wildcards (4.7.1)
            raise LinkError("mqtt-device-id", "%s: %s" % (hub, device_id))
        name = self.topic
        if properties or system or not name:
            from microdps.protocol.properties import bag

            name = topic(device_id, bag(properties, **system))
            if not properties and not system:
                self.topic = name
        yield from self.send(hub, device_id, name, body, session.timeout_ms)
        if session.say:
            ms = (yield "now", None) - self.sent_ms
            session.say("PUBLISH %s/devices/%s: PUBACK in %d ms" % (self.where, device_id, ms))

    def ping(self, session):
        """Flow: keep the connection, if there is one and it is time; one that was lost is opened
        anew. What fails is logged, and the next message opens one."""
        now = yield "now", None
        if not self.hub or now - self.sent_ms < KEEP_ALIVE_S * 500:
            return
        hub, self.hub = self.hub, None
        self.sent_ms = now
        try:
            kept = yield "open", (self.where, session.timeout_ms)
            if kept:
                self.head(_PINGREQ, 0)
                yield "send", self.view[:2]
                kept = yield from self.answer(_PINGRESP, 0, hub)
            else:
                yield from self.handshake(hub, session.assignment.device_id)
                kept = True
            if kept:
                self.hub = hub
        except Error as error:
            session.log("connection lost: %s", error)

    def connect(self, hub: str, device_id: str, timeout_ms: int):
        """Flow: connect to a hub, without sending a message. Raises as send() does."""
        yield "close", None
        yield "open", (address(hub), timeout_ms)
        yield from self.handshake(hub, device_id)

    def handshake(self, hub: str, device_id: str):
        self.acknowledged = 0
        client = device_id.encode()
        user = ("%s/%s%s" % (hub.partition(":")[0], device_id, _API)).encode()
        n = self.head(_CONNECT, 14 + len(client) + len(user))
        n = self.string(n, b"MQTT")
        n = self.bytes(n, bytes((4, _FLAGS, 0, KEEP_ALIVE_S)))
        n = self.string(self.string(n, client), user)
        yield "send", self.view[:n]
        yield from self.answer(_CONNACK, 0, hub)
        code = self.buf[3]
        if code:
            yield "close", None
            from microdps.protocol.service_error import connack

            raise connack(code, hub)

    def answer(self, kind: int, number: int, hub: str, have: int = 0):
        """Flow: wait for a packet, which lies at the begin of the buffer then → has nothing come
        behind it?

        number  what the packet's two bytes must be; 0 for those that have no packet ID
        have    bytes that have come already

        One more acknowledgement of the message before is passed over: the hub may repeat it.
        """
        buf = self.buf
        try:
            while True:
                # All that a hub has to say here has at most two bytes behind its length (2.2.3).
                if have and (buf[0] not in (kind, _PUBACK) or (have > 1 and buf[1] > 2)):
                    raise ProtocolError("mqtt", hub)
                if have < 2 or have < 2 + buf[1]:
                    n = yield "recv", self.view[have:]
                    if not n:
                        raise LinkError("closed", hub)
                    have += n
                    continue
                end = 2 + buf[1]
                if self.is_packet(kind, 2 if kind == _PINGRESP else 4, number):
                    self.acknowledged = number or self.acknowledged
                    return have == end
                if not self.acknowledged or not self.is_packet(_PUBACK, 4, self.acknowledged):
                    raise ProtocolError("mqtt", hub)
                have -= end
                self.view[:have] = self.view[end : end + have]
        except (LinkError, ProtocolError):
            yield "close", None
            raise

    def is_packet(self, kind: int, end: int, number: int) -> bool:
        """Does the buffer begin with this packet, of so many bytes?"""
        buf = self.buf
        if buf[0] != kind or buf[1] != end - 2:
            return False
        return not number or buf[2] << 8 | buf[3] == number

    def head(self, kind: int, length: int) -> int:
        """Begin a packet in the buffer → where it goes on."""
        buf = self.buf
        buf[0] = kind
        n = 1
        while length > 127:
            buf[n] = length & 127 | 128
            length >>= 7
            n += 1
        buf[n] = length
        return n + 1

    def string(self, n: int, data: bytes) -> int:
        return self.bytes(self.number(n, len(data)), data)

    def number(self, n: int, number: int) -> int:
        self.buf[n] = number >> 8
        self.buf[n + 1] = number & 255
        return n + 2

    def bytes(self, n: int, data) -> int:
        end = n + len(data)
        if end > len(self.buf):
            raise ValueError("no message: its properties are too long")
        self.buf[n:end] = data
        return end
