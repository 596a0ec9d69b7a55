"""Whatever happens, a message is taken once or not at all, and its sender knows which."""

from test_device import DPS, HUB, answer, assigned

from harness import CLOSED, Peer, Random
from microdps.errors import Error, LinkError, OutcomeUnknown
from microdps.protocol import Assignment
from microdps.provisioning import assign
from microdps.session import Session

MESSAGES = 400

ACCEPTED = b"HTTP/1.1 204 No Content\r\nVary: Origin\r\n"
MQTT_PORT = ":8883"


class Fickle(Peer):
    """DPS, and a hub over HTTPS and MQTT. What becomes of a connection and a message is chance.

    taken  the last bytes of each message that the hub has accepted
    """

    def __init__(self, seed):
        Peer.__init__(self)
        self.random = Random(seed)
        self.taken = []

    def one_of(self, *choices):
        return choices[self.random.below(len(choices))]

    def silent(self):
        return not self.items and self.random.below(6) > 0

    def connect(self):
        self.items = []
        if not self.random.below(8):
            raise LinkError(self.one_of("dns", "connect", "timeout-connect"), self.host)

    def do_send(self, buffer):
        data = bytes(buffer)
        if not self.random.below(9):
            raise LinkError(self.one_of("closed", "alert", "broken"), self.host)
        if self.host == DPS:
            self.items = [assigned()]
        elif not self.host.endswith(MQTT_PORT):
            close = self.one_of(b"", b"", b"", b"Connection: close\r\n")
            self.take(data[-MARK:], ACCEPTED + close + b"\r\n")
        elif data[0] == 0x10:  # CONNECT
            self.items = [b"\x20\x02\x00" + self.one_of(b"\0", b"\0", b"\0", b"\5")]
        else:  # the packet ID stands before the body
            self.take(data[-MARK:], b"\x40\x02" + data[-MARK - 2 : -MARK])

    def take(self, mark, right):
        """Take a message, or not; and answer rightly, or not."""
        ends = (CLOSED, LinkError("closed", HUB), LinkError("alert", HUB), 99_999)
        what = self.random.below(10)
        if what < 6:
            self.taken.append(mark)
        if what < 4:
            at = self.random.below(len(right))
            self.items = [part for part in (right[:at], right[at:]) if part]
            if what == 0:
                self.items.append(right)  # what nobody asked for
        elif what == 4:
            at = self.random.below(len(right))
            self.items = [right[:at]] if at else []
            self.items.append(self.one_of(*ends))
        elif what == 5:
            self.items = [self.random.bytes(1 + self.random.below(40)), CLOSED]
        elif what == 6 or self.host.endswith(MQTT_PORT):
            self.items = [self.one_of(*ends)]
        else:
            self.items = [answer(self.one_of(400, 401, 403, 404, 413, 429, 500, 503))]


def mark(number):
    """The body of a message, which tells it from all others."""
    return b"{%06d}" % number


MARK = len(mark(0))


def outcomes(transport, seed):
    """Send messages → how many were sent, unknown, and refused."""
    world = Fickle(seed)
    session = Session((DPS, "0ne1", "d"), 30_000, transport, buf=bytearray(512))
    assign(session, Assignment(HUB, "d", "assigned", "", None), True)
    sent = unknown = refused = 0
    for number in range(MESSAGES):
        # A hub that is doubted is told to ask late, which means the same.
        session.proven = True
        for record in (world.taken, world.opened, world.slept):
            del record[:]
        try:
            world.run(session.send(mark(number)))
            sent += 1
            assert world.taken == [mark(number)]
        except OutcomeUnknown:
            unknown += 1
            assert world.taken in ([], [mark(number)])
        except Error as error:
            refused += 1
            assert world.taken == [], (number, error.args)
    return sent, unknown, refused


def test_message_by_https_is_taken_once_or_its_sender_knows():
    for seed in range(3):
        assert min(outcomes("https", seed)) > 10


def test_message_by_mqtt_is_taken_once_or_its_sender_knows():
    for seed in range(3):
        assert min(outcomes("mqtt", seed)) > 10
