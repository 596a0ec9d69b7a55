"""Whole sessions against peers that answer anything: nothing but Error comes out, and what it says
is printable and short."""

import os

from harness import CLOSED, Idle, Peer, Random
from microdps.errors import Error, LinkError
from microdps.session import Session

# How many, and the number of the first: a longer run is `make test-sessions`.
getenv = getattr(os, "getenv", lambda name: None)  # a WebAssembly build has no environment
SESSIONS = int(getenv("SESSIONS") or 150)
FIRST = int(getenv("FIRST_SESSION") or 0)

DPS = "global.azure-devices-provisioning.net"
HUB = "hub.azure-devices.net"

# Values that stand where DPS or a hub would have put another one.
ODD = (
    b"1", b"-1", b"0", b"401002", b"1e999", b"9" * 400, b"true", b"null", b'""', b"[1]", b"{}",
    b'"\\u0000\\u001b[31m\\r\\n"', b'"\xff\xfe"', b'"' + b"a" * 2000 + b'"', b'"IotHubNotFound"',
    b'"\\ud800"', b"[" * 60 + b"]" * 60, b'"d#"', b'"+"', b'"localhost:1"', b'"hub"', b'"a b"',
    b'"..."', b"NaN", b"[" * 3000, b'{"a":' * 500, b'"%s"' % HUB.encode(),
)  # fmt: skip
FIELDS = (
    b"operationId", b"status", b"registrationState", b"assignedHub", b"deviceId", b"substatus",
    b"payload", b"errorCode", b"errorMessage", b"message", b"trackingId", b"Message",
    b"ExceptionMessage",
)  # fmt: skip
STATUSES = (200, 202, 204, 307, 308, 400, 401, 403, 404, 408, 413, 429, 500, 503, 999)
HEADERS = (
    b"x-ms-request-id: \xff\r\n",
    b"x-ms-request-id: \x1b[31m\r\n",
    b"x-ms-request-id: " + b"a" * 3000 + b"\r\n",
    b"Retry-After: 999999\r\n",
    b"Retry-After: 9999999999\r\n",
    b"Retry-After: soon\r\n",
    b"Location: /x\r\n",
    b"Location: /" + b"a" * 3900 + b"\r\n",
    b"Location: https://other.example/\r\n",
    b"Location: https://other.azure-devices.net/x\r\n",
    b"Location: \xff\xfe\r\n",
    b"Connection: close\r\n",
)
ASSIGNED = (
    b'{"operationId":"o","status":"assigned","registrationState":{"assignedHub":"%s",'
    b'"deviceId":"device-01","substatus":"initialAssignment"}}' % HUB.encode()
)
ASSIGNING = b'{"operationId":"o","status":"assigning"}'
REFUSED = b'{"errorCode":401003,"message":"Unauthorized","trackingId":"t"}'


class Anything(Peer):
    """DPS and a hub, over HTTPS and MQTT, that answer right, nearly right, or at random."""

    def __init__(self, random):
        Peer.__init__(self)
        self.random = random

    def connect(self):
        if self.random.below(12) == 0:
            raise LinkError("connect", self.host)
        self.items = []

    def do_send(self, buffer):
        Peer.do_send(self, buffer)
        del self.sent[:-2], self.sent_at[:-2]
        self.items = [self.mqtt(buffer) if self.host.endswith(":8883") else self.http(buffer)]
        if self.random.below(8) == 0:
            self.items.append(Idle() if self.random.below(2) else CLOSED)

    def do_sleep(self, ms):
        Peer.do_sleep(self, ms)
        del self.slept[:-2], self.opened[:-2]

    def do_recv(self, buffer):
        while self.items and isinstance(self.items[0], Idle):
            self.items.pop(0)
        self.items = self.items or [CLOSED]
        return Peer.do_recv(self, buffer)

    def pick(self, choices):
        return choices[self.random.below(len(choices))]

    def mangled(self, data):
        """Data with some bytes changed."""
        data = bytearray(data)
        for _ in range(self.random.below(3)):
            data[self.random.below(len(data))] = self.random.below(256)
        return bytes(data)

    def http(self, request):
        if self.random.below(9) == 0:
            return self.random.bytes(1 + self.random.below(99))
        body = ASSIGNED if self.random.below(4) else ASSIGNING
        if bytes(request[:4]) == b"POST":
            body = b"" if self.random.below(3) else REFUSED
        status = (
            200 if body == ASSIGNED else 202 if body == ASSIGNING else 204 if not body else 401
        )
        if self.random.below(3) == 0:
            status = self.pick(STATUSES)
        if body and self.random.below(2) == 0:
            body = self.odd(body)
        fields = b""
        while self.random.below(3) == 0 and len(fields) < 4000:
            fields += self.pick(HEADERS)
        head = b"HTTP/1.1 %d X\r\n" % status + fields
        answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return self.mangled(answer) if self.random.below(6) == 0 else answer

    def odd(self, body):
        """A body with one value replaced, or made of odd ones."""
        if self.random.below(2):
            pairs = [b'"%s":%s' % (self.pick(FIELDS), self.pick(ODD)) for _ in range(3)]
            return b"{%s}" % b",".join(pairs)
        parts = body.split(b":")
        at = 1 + self.random.below(len(parts) - 1)
        rest = parts[at][parts[at].find(b",") :] if b"," in parts[at] else b"}"
        parts[at] = self.pick(ODD) + rest
        return b":".join(parts)

    def mqtt(self, packet):
        if self.random.below(6) == 0:
            return self.random.bytes(1 + self.random.below(9))
        right = b"\x20\x02\x00\x00" if packet[0] == 0x10 else b"\x40\x02" + self.packet_id(packet)
        return self.mangled(right) if self.random.below(4) == 0 else right

    def packet_id(self, packet):
        at = bytes(packet).find(b"&$.ce=utf-8")
        return bytes(packet[at + 11 : at + 13]) if at > 0 else b"\0\1"


def play(number):
    """One session of six messages."""
    random = Random(number * 7919)
    peer = Anything(random)
    lines = []
    transport = ("auto", "https", "mqtt")[random.below(3)]
    session = Session((DPS, "0ne00000000", "device-01"), 30_000, transport, lines.append)
    for _ in range(6):
        try:
            peer.run(session.send({"n": 1}))
        except Error as error:
            lines.append(str(error))
            for value in (error.args[0], getattr(error, "error_code", None)):
                assert value is None or isinstance(value, (int, str)), value
        if session.mqtt:
            peer.run(session.mqtt.ping(session))
        if session.assignment:
            lines.append("%s %s" % session.assignment[:2])
            lines.append(session.assignment.substatus)
        for line in lines:
            assert len(line) < 1000, line
            for char in line:
                assert " " <= char <= "~" or char in "\u2019\u2026", (number, line)
        del lines[:]


def test_nothing_but_an_error_of_ours_leaves_a_session():
    for number in range(FIRST, FIRST + SESSIONS):
        play(number)
