"""MQTT from a script: packets at every split, refusals, IDs that wrap."""

from harness import CLOSED, Idle, Peer, Random, raised
from microdps.errors import LinkError, ProtocolError, ServiceError
from microdps.protocol import properties
from microdps.protocol.http import Connection
from microdps.protocol.mqtt import Mqtt, address, topic
from mqtt_packets import CONNACK, HUB, puback


def send(mqtt, peer, data=b"{}", bag="", timeout_ms=5000):
    return peer.run(mqtt.send(HUB, "d", topic("d", bag), data, timeout_ms))


def made():
    return Mqtt(Connection(512))


def test_packets_are_iot_hubs():
    peer = Peer([CONNACK, puback(1)])
    send(made(), peer, b'{"t":1}', "a=b")
    user = b"hub.example/d/?api-version=2021-04-12"
    connect = b"\x00\x04MQTT\x04\x82\x00\xf0\x00\x01d\x00" + bytes((len(user),)) + user
    name = b"devices/d/messages/events/a=b"
    publish = b"\x00" + bytes((len(name),)) + name + b"\x00\x01" + b'{"t":1}'
    assert peer.opened == [HUB + ":8883"]
    assert peer.sent == [
        b"\x10" + bytes((len(connect),)) + connect,
        b"\x32" + bytes((len(publish),)) + publish,
    ]


def test_hub_with_a_port_has_its_mqtt_on_the_next():
    assert address("hub.example") == "hub.example:8883"
    assert address("localhost:8444") == "localhost:8445"


def test_every_split_and_a_connection_that_is_kept():
    for piece in (1, 2, 3, 9):
        peer = Peer([CONNACK, puback(1), puback(2), puback(3)], piece=piece)
        mqtt = made()
        for _ in range(3):
            send(mqtt, peer)
        assert len(peer.opened) == 1 and len(peer.sent) == 4


def test_long_message_has_a_long_length_and_is_two_writes_if_it_does_not_fit():
    for size in (90, 200, 400, 20000):
        peer = Peer([CONNACK, puback(1)])
        send(made(), peer, b"x" * size)
        publish = b"".join(peer.sent[1:])
        length, at, shift = 0, 1, 0
        while True:
            length |= (publish[at] & 127) << shift
            shift += 7
            at += 1
            if publish[at - 1] < 128:
                break
        assert length == len(publish) - at
        assert publish.endswith(b"x" * size)
        assert len(peer.sent) == (2 if size <= 400 else 3)


def test_remaining_length_is_of_as_few_bytes_as_it_needs():
    """MQTT 3.1.1, 2.2.3, table 2.4."""
    rest = 2 + len(topic("d", "")) + 2
    for length, field in (
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (129, b"\x81\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
    ):
        peer = Peer([CONNACK, puback(1)])
        send(made(), peer, b"x" * (length - rest))
        assert peer.sent[1][: 1 + len(field)] == b"\x32" + field, length
        assert len(b"".join(peer.sent[1:])) == 1 + len(field) + length


def test_message_that_just_fits_the_buffer_is_one_write():
    head = 3 + 2 + len(topic("d", "")) + 2
    for size, writes in ((512 - head, 1), (512 - head + 1, 2)):
        peer = Peer([CONNACK, puback(1)])
        send(made(), peer, b"x" * size)
        assert len(peer.sent) == 1 + writes
        assert b"".join(peer.sent[1:])[head:] == b"x" * size


def test_topic_must_fit_the_buffer():
    """The two bytes of the packet's ID come behind it."""
    size = 400
    rest = 3 + 2 + len(topic("d", "a=")) + 2
    bag = "a=" + "b" * (size - rest)
    peer = Peer([CONNACK, puback(1)])
    peer.run(Mqtt(Connection(size)).send(HUB, "d", topic("d", bag), b"", 5000))
    assert len(peer.sent[1]) == size
    mqtt = Mqtt(Connection(size))
    peer = Peer([CONNACK, puback(1)])
    error = raised(peer.run, mqtt.send(HUB, "d", topic("d", bag + "bbb"), b"", 5000))
    assert isinstance(error, ValueError) and "too long" in str(error)
    assert len(peer.sent) == 1


def test_packet_ids_wrap_and_are_never_0():
    peer = Peer([CONNACK, puback(65535), puback(1)])
    mqtt = made()
    mqtt.id = 65534
    send(mqtt, peer)
    send(mqtt, peer)
    assert peer.sent[2][-4:-2] == b"\x00\x01"


def test_packet_id_and_lengths_are_of_two_bytes():
    peer = Peer([CONNACK, puback(0x0301)])
    mqtt = made()
    mqtt.id = 0x0300
    send(mqtt, peer, b"{}", "a=" + "b" * 300)
    packet = peer.sent[1]
    name = topic("d", "a=" + "b" * 300)
    at = packet.find(name)
    assert packet[at - 2] << 8 | packet[at - 1] == len(name) > 256
    assert packet[at + len(name) :] == b"\x03\x01{}"


def test_refusals_are_told_apart():
    for code, status in ((1, 400), (2, 400), (3, 503), (4, 401), (5, 401), (9, 400)):
        peer = Peer([b"\x20\x02\x00" + bytes((code,))])
        error = raised(send, made(), peer)
        assert isinstance(error, ServiceError)
        assert (error.args[0], error.status) == ("connack", status)
        assert str(code) in error.message
        assert peer.host is None and len(peer.sent) == 1


def test_acknowledgements():
    for items, error in (
        ([puback(1) + puback(1)], None),
        ([puback(2)], ProtocolError),
        ([puback(0)], ProtocolError),
        ([b"\x40\x03\x00\x01\x00"], ProtocolError),
        ([b"\x40\x03", 9000], ProtocolError),  # told at once
        ([b"\x40\x00"], ProtocolError),
        ([b"\x40\xff\xff\xff\xff"], ProtocolError),
        ([b"\x30\x02\x00\x00"], ProtocolError),
        ([b"HTTP/1.1 400 Bad Request\r\n"], ProtocolError),
        ([CLOSED], LinkError),
        ([b"\x40\x02\x00", CLOSED], LinkError),
        ([9000], LinkError),
    ):
        peer = Peer([CONNACK] + items)
        if error is None:
            send(made(), peer)
        else:
            found = raised(send, made(), peer)
            assert isinstance(found, error), (items, found)
            if error is LinkError:
                assert found.written


def test_first_end_of_the_stream_is_the_end():
    """MicroPython's TLS reads 0 once, and then nothing until the time-out."""

    for items in ([CLOSED], [b"\x40\x02", CLOSED]):
        peer = Peer([CONNACK] + items)
        peer.do_recv = lambda buffer, peer=peer: recv_once(peer, buffer)
        error = raised(send, made(), peer)
        assert error.args == ("closed", HUB) and error.written
        assert peer.host is None


def recv_once(peer, buffer):
    """A read that tells the end of the stream once."""
    assert peer.items, "asked for more after the end of the stream"
    if peer.items[0] == CLOSED:
        del peer.items[:]
        return 0
    return Peer.do_recv(peer, buffer)


def test_acknowledgement_that_comes_twice_is_passed_over():
    peer = Peer([CONNACK, puback(1), puback(1) + puback(2)])
    mqtt = made()
    send(mqtt, peer)
    send(mqtt, peer)


def test_acknowledgement_that_comes_in_parts_may_come_twice_too():
    first = puback(1)
    peer = Peer([CONNACK, first[:2], first[2:], puback(1) + puback(2), puback(2), puback(3)])
    mqtt = made()
    for _ in range(3):
        send(mqtt, peer)
    assert len(peer.opened) == 1 and peer.left() == 0


def test_connection_on_which_more_came_is_not_kept():
    for more in (puback(1), b"\x40", b"\x40\x02\x00\x01\x00"):
        peer = Peer([CONNACK, puback(1) + more], [CONNACK, puback(2)])
        mqtt = made()
        send(mqtt, peer)
        assert mqtt.hub is None
        peer.drop()
        send(mqtt, peer)
        assert len(peer.opened) == 2


def test_usual_acknowledgement_is_taken_without_the_reader_of_packets():
    mqtt = made()
    send(mqtt, Peer([CONNACK, puback(1)]))
    mqtt.answer = None
    peer = Peer([puback(2)])
    peer.host = mqtt.where
    peer.connect()
    send(mqtt, peer)
    assert mqtt.hub == HUB and mqtt.acknowledged == 2


def test_connection_that_was_closed_while_idle_is_opened_anew():
    peer = Peer([CONNACK, puback(1), Idle()], [CONNACK, puback(2)])
    mqtt = made()
    send(mqtt, peer)
    send(mqtt, peer)
    assert len(peer.opened) == 2


def test_nothing_is_written_when_the_connection_cannot_be_made():
    for items in (
        [CLOSED],
        [b"\x20\x02\x00", CLOSED],
        [b"garbage"],
        [9000],
        [b"\x20\x00", 9000],
        [b"\x20\x01\x00", 9000],
        [b"\x40\x02\x00\x00", 9000],
        [CONNACK, LinkError("closed", "peer")],  # while the message was to be written
    ):
        error = raised(send, made(), Peer(items))
        assert isinstance(error, (LinkError, ProtocolError)), items
        assert not getattr(error, "written", False)


def test_random_bytes_end_in_an_error_of_ours():
    random = Random(7)
    for _ in range(400):
        data = bytes([random.below(256) for _ in range(1 + random.below(9))])
        mqtt = made()
        peer = Peer([data, CLOSED] if random.below(2) else [CONNACK, data, CLOSED])
        try:
            send(mqtt, peer)
        except (LinkError, ProtocolError, ServiceError):
            pass


def test_properties_are_a_bag():
    bag = properties.bag({"a-b": "x/y &"}, message_id="m 1")
    assert sorted(bag.split("&")) == [
        "$.ce=utf-8",
        "$.ct=application%2Fjson",
        "$.mid=m%201",
        "a-b=x%2Fy%20%26",
    ]
