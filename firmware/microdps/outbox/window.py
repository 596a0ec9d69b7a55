"""Several messages of an outbox on their way at once, by MQTT 3.1.1: a flow.

The sections of MQTT 3.1.1 (OASIS, 2014-10-29) are named below.
"""

import binascii
import json

from micropython import const

from microdps.errors import LinkError, ProtocolError
from microdps.outbox.item import ending
from microdps.protocol.mqtt import address, topic
from microdps.protocol.properties import SYSTEM, bag

# Messages on their way at a time.
WINDOW = const(8)

_PUBACK = const(4)
_PUBLISH = const(3)

# Bytes that are received at a time. A packet of another kind is passed over piece by piece.
_RECEIVED = const(64)


def publish(session, outbox, batch):
    """Flow: publish the messages of a batch. Each leaves the outbox when the hub has acknowledged
    it and all before it; it may do so in any order.

    batch  microdps.outbox.batch.Batch: its last message is the last one here

    Raises LinkError, whose written tells whether the hub can have taken a message that waits
    still; ProtocolError, ServiceError.
    """
    mqtt = session.mqtt
    yield from connected(session, mqtt)
    hub = session.assignment.hub
    packets = Packets()
    flying: list = []  # [packet ID, number of the file, place behind, acknowledged]
    messages = batch.messages()
    last = None
    try:
        while True:
            while last != (batch.number, batch.at) and len(flying) < WINDOW:
                number, file, length, seconds, run, end = next(messages)
                last = number, end
                if length:
                    text = file.read(length - 2) + ending(outbox, batch.start_s, seconds, run)
                    yield from one(session, mqtt, json.loads(text))
                    flying.append([mqtt.id, number, end, False])
            if not flying:
                break
            n = yield "recv", packets.view[packets.have :]
            if not n:
                raise LinkError("closed", hub)
            packets.have += n
            for packet_id in packets.acknowledged(hub):
                settle(outbox, flying, packet_id)
    except (LinkError, ProtocolError) as error:
        yield "close", None
        error.written = bool(flying)
        raise
    mqtt.acknowledged = mqtt.id
    mqtt.hub = hub


def settle(outbox, flying: list, packet_id: int):
    """A message is acknowledged: it leaves the outbox if none before it is on its way."""
    for message in flying:
        if message[0] == packet_id:
            message[3] = True
    while flying and flying[0][3]:
        _, number, end, _ = flying.pop(0)
        outbox.delivered(number, end)


def connected(session, mqtt):
    """Flow: open the connection to the hub, if it is not open. Mqtt.send() does the same itself: a
    flow of its own would cost memory for each message."""
    hub, device_id = session.assignment[:2]
    mqtt.sent_ms = yield "now", None
    if mqtt.hub != hub:
        mqtt.where = address(hub)
        yield "close", None
    kept = yield "open", (mqtt.where, session.timeout_ms)
    mqtt.hub = None  # until all is acknowledged
    if not kept:
        yield from mqtt.handshake(hub, device_id)


def one(session, mqtt, item: dict):
    """Flow: write a message, given as a batch has it."""
    if item.get("base64Encoded", True):
        body = binascii.a2b_base64(item["body"].encode())
    else:
        body = item["body"].encode()
    ours = {header: name for name, (header, _) in SYSTEM.items()}
    properties, system = {}, {}
    for header, value in item["properties"].items():
        if header in ours:
            system[ours[header]] = value
        else:
            properties[header[len("iothub-app-") :]] = value
    name = topic(session.assignment.device_id, bag(properties, **system))
    n = mqtt.publish(name, len(body))
    whole = n + len(body) <= len(mqtt.buf)
    if whole:
        n = mqtt.bytes(n, body)
    yield "send", mqtt.view[:n]
    if not whole:
        yield "send", memoryview(body)


class Packets:
    """What the hub sends, packet by packet."""

    def __init__(self):
        self.view = memoryview(bytearray(_RECEIVED))
        self.have = self.skip = 0

    def acknowledged(self, hub: str):
        """The packet IDs of the PUBACKs that have come (3.4). A PUBLISH (3.3) is passed over, and
        not acknowledged. Raises ProtocolError for what no hub sends here."""
        view = self.view
        while self.have:
            part = min(self.skip, self.have)
            if part:
                self.skip -= part
                self.drop(part)
                continue
            length, at = 0, 1  # 2.2.3
            while at < self.have and view[at] & 128:
                length |= (view[at] & 127) << 7 * (at - 1)
                at += 1
            if at > 4:
                raise ProtocolError("mqtt", hub)
            if at >= self.have:
                return
            length |= view[at] << 7 * (at - 1)
            kind = view[0] >> 4
            if kind == _PUBLISH:
                self.skip = at + 1 + length
            elif kind != _PUBACK or length != 2:
                raise ProtocolError("mqtt", hub)
            elif self.have < 4:
                return
            else:
                yield view[2] << 8 | view[3]
                self.drop(4)

    def drop(self, size: int):
        """Forget the first bytes."""
        left = self.have - size
        self.view[:left] = bytes(self.view[size : self.have])
        self.have = left
