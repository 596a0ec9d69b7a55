"""A DPS and a hub under a clock of their own, and a device that talks to them."""

import random

from harness import CLOSED, Peer
from microdps.errors import ServiceError
from microdps.session import Session

DPS = "dps.example"
HUB = "hub.example"
DAY_MS = 24 * 60 * 60 * 1000


def answer(status, body=b"", fields=b""):
    head = b"HTTP/1.1 %d X\r\n" % status + fields
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def assigned(hub=HUB, device_id="device-01"):
    return answer(
        200,
        b'{"operationId":"o","status":"assigned","registrationState":{"assignedHub":"%s",'
        b'"deviceId":"%s","substatus":"initialAssignment"}}' % (hub.encode(), device_id.encode()),
    )


OK = answer(204)
UNAUTHORIZED = answer(401, b'{"errorCode":401003,"message":"Unauthorized","trackingId":"t"}')
QUOTA = answer(403, b'{"errorCode":403002,"message":"Quota","trackingId":"t"}')
NOT_ENROLLED = answer(401, b'{"errorCode":401002,"message":"no","trackingId":"t"}')


class World(Peer):
    """DPS and a hub that answer each request with the next item of a list, the last for ever.

    An exception is what the wait for the answer ends with: the request was written.
    """

    def __init__(self, dps, hub):
        Peer.__init__(self)
        self.answers = {DPS: list(dps), HUB: list(hub)}
        self.count = {DPS: 0, HUB: 0}
        self.first_day = 0  # registrations

    def connect(self):
        pass

    def do_send(self, buffer):
        answers = self.answers[self.host]
        self.items = [answers.pop(0) if len(answers) > 1 else answers[0]]
        self.count[self.host] += 1
        self.first_day += self.host == DPS and self.now < DAY_MS
        self.sent.append(bytes(buffer))
        del self.sent[:-9]  # a day is long

    def do_sleep(self, ms):
        Peer.do_sleep(self, ms)
        del self.slept[:-99]

    def do_recv(self, buffer):
        self.items = self.items or [CLOSED]  # behind a truncated answer
        return Peer.do_recv(self, buffer)


def session():
    random.seed(1)
    lines = []
    made = Session((DPS, "0ne1", "device-01"), 30_000, "https", lines.append)
    made.lines = lines
    return made


def send(world, device, data=b"{}"):
    return world.run(device.send(data))


def until_sent(world, device):
    """Call until the message is accepted, as a program does → the errors on the way."""
    errors = []
    while True:
        try:
            send(world, device)
            return errors
        except ServiceError as error:
            errors.append(error)
