"""Many messages on their way by MQTT: acknowledged in any order, none lost."""

from device_world import session
from harness import CLOSED, Peer, raised
from microdps.errors import LinkError, OutcomeUnknown
from microdps.outbox.delivery import flush
from microdps.outbox.window import WINDOW, Packets
from microdps.protocol import Assignment
from microdps.provisioning import assign
from mqtt_packets import CONNACK, HUB, puback
from outbox_world import bodies, clean, filled, outbox


def device():
    made = session()
    made.transport = "mqtt"
    assign(made, Assignment(HUB, "d", "assigned", "", None), True)
    return made


def published(peer) -> list:
    """The packets that are no CONNECT."""
    return [packet for packet in peer.sent if packet[0] == 0x32]


class Order(Peer):
    """Notes how many messages were on their way when it answered."""

    def do_recv(self, buffer):
        self.flying.append(len(published(self)))
        return Peer.do_recv(self, buffer)


@clean
def test_eight_messages_are_on_their_way_at_a_time():
    peer = Order([CONNACK] + [puback(number) for number in range(1, 21)])
    peer.flying = []
    assert peer.run(flush(device(), filled(20))) == 20
    assert peer.flying == [0] + [min(20, WINDOW + n) for n in range(20)]
    assert [b"message %d" % n in packet for n, packet in enumerate(published(peer))] == [True] * 20
    assert bodies(outbox()) == []


@clean
def test_message_has_its_id_its_time_and_its_properties():
    box = outbox()
    box.queue(b"{}", {"a": "b c"}, {"message_id": "m"})
    peer = Peer([CONNACK, puback(1)])
    assert peer.run(flush(device(), box)) == 1
    packet = published(peer)[0].decode()
    assert packet.endswith("{}")
    bag = packet.split("/messages/events/")[1].split("\x00")[0].split("&")
    assert "a=b%20c" in bag and "$.mid=m" in bag and "$.ct=application%2Fjson" in bag
    assert [pair for pair in bag if pair.startswith("$.ctime=20") and pair.endswith("Z")]


@clean
def test_acknowledged_in_any_order_and_at_every_split():
    order = (3, 1, 2, 8, 7, 6, 5, 4)
    for piece in (1, 2, 3, 5, 64):
        peer = Peer([CONNACK] + [puback(number) for number in order], piece=piece)
        assert peer.run(flush(device(), filled(8))) == 8
        assert bodies(outbox()) == []


@clean
def test_what_follows_the_first_that_is_not_acknowledged_goes_on_waiting():
    box = filled(5)
    peer = Peer([CONNACK, puback(1), puback(2), puback(4), CLOSED])
    error = raised(peer.run, flush(device(), box))
    assert isinstance(error, OutcomeUnknown)
    assert bodies(box) == ["message 2", "message 3", "message 4"]
    made = device()
    peer = Peer([CONNACK] + [puback(n) for n in range(1, 4)])
    assert peer.run(flush(made, box)) == 3
    assert bodies(outbox()) == []


@clean
def test_a_message_of_the_hub_is_passed_over():
    incoming = b"\x32\xb0\x01" + b"\x00\x09devices/d" + bytes(165)
    for piece in (1, 7, 64, 1000):
        peer = Peer([CONNACK, puback(1), incoming, puback(2)], piece=piece)
        assert peer.run(flush(device(), filled(2))) == 2


@clean
def test_what_no_hub_sends_ends_the_connection():
    for packet in (b"\x20\x02\x00\x00", b"\x40\x03\x00\x01\x00", b"\x30\xff\xff\xff\xff\x7f"):
        box = filled(1)
        error = raised(Peer([CONNACK, packet]).run, flush(device(), box))
        assert isinstance(error, OutcomeUnknown), error
        assert len(bodies(box)) == 1
        box.remove()


@clean
def test_connection_is_kept_for_the_next_batch():
    made = device()
    peer = Peer([CONNACK] + [puback(n) for n in range(1, 4)])
    box = filled(2)
    assert peer.run(flush(made, box)) == 2
    box.queue(b"one more")
    assert peer.run(flush(made, box)) == 1
    assert len(peer.opened) == 1


@clean
def test_large_message_is_written_in_two():
    box = outbox()
    box.queue(b"x" * 6000)
    peer = Peer([CONNACK, puback(1)])
    assert peer.run(flush(device(), box)) == 1
    assert peer.sent[-1] == b"x" * 6000


@clean
def test_no_connection_leaves_all_waiting():
    box = filled(2)
    made = device()
    made.patience_ms = 0
    error = raised(Peer([LinkError("connect", HUB)]).run, flush(made, box))
    assert isinstance(error, LinkError)
    assert len(bodies(box)) == 2


def test_packets_whose_length_has_four_bytes():
    packets = Packets()
    packets.view[:5] = b"\x30\x80\x80\x80\x01"
    packets.have = 5
    assert list(packets.acknowledged(HUB)) == []
    assert packets.skip == 128**3 and packets.have == 0


class Far(Peer):
    """A hub that is 50 ms away: it acknowledges what came so long ago."""

    def __init__(self):
        Peer.__init__(self, [])
        self.answers = []  # (when it arrives, bytes)

    def do_send(self, buffer):
        packet = bytes(buffer)
        if packet[0] == 0x10:
            answer = CONNACK
        else:
            at = 1
            while packet[at] & 128:
                at += 1
            at += 1
            at += 2 + (packet[at] << 8 | packet[at + 1])
            answer = b"\x40\x02" + packet[at : at + 2]
        self.answers.append((self.now + 50, answer))

    def do_recv(self, buffer):
        when, answer = self.answers.pop(0)
        self.now = max(self.now, when)
        buffer[: len(answer)] = answer
        return len(answer)


@clean
def test_a_window_is_four_times_as_fast_as_one_at_a_time():
    peer = Far()
    start = peer.now
    made = device()
    for _ in range(100):
        peer.run(made.send(b"{}"))
    alone = peer.now - start
    box = filled(100)
    peer = Far()
    assert peer.run(flush(device(), box)) == 100
    assert (peer.now - start) * 4 <= alone
