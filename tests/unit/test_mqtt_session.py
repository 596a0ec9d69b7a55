"""Messages of a session by MQTT: their topics and lines of the log, and the pings between them."""

from harness import CLOSED, Idle, Peer, raised
from microdps.protocol import Assignment
from microdps.protocol.mqtt import KEEP_ALIVE_S
from microdps.provisioning import assign
from microdps.session import Session
from mqtt_packets import CONNACK, HUB, puback


def assigned(log=None, device_id="d"):
    """A session with an assignment, which sends by MQTT."""
    session = Session(("dps.example", "0ne1", "d"), 5000, "mqtt", log, bytearray(512))
    assign(session, Assignment(HUB, device_id, "assigned", "", None))
    return session


def test_device_id_with_a_wildcard_cannot_go_by_mqtt():
    for device_id in ("a+b", "#"):
        session = assigned(device_id=device_id)
        session.patience_ms = 0
        error = raised(Peer().run, session.send({}))
        assert error.args == ("mqtt-device-id", "%s: %s" % (HUB, device_id))


def test_each_message_has_its_line():
    lines = []
    session = assigned(lines.append)
    Peer([CONNACK, 35, puback(1)]).run(session.send({}))
    assert lines == ["PUBLISH hub.example:8883/devices/d: PUBACK in 35 ms"]


def test_idle_connection_is_kept_by_a_ping_when_it_is_time():
    session = assigned()
    peer = Peer([CONNACK, puback(1), b"\xd0\x00", CLOSED])
    peer.run(session.send({}))
    peer.run(session.mqtt.ping(session))
    assert len(peer.sent) == 2
    for _ in range(2):
        peer.now += KEEP_ALIVE_S * 600
        peer.run(session.mqtt.ping(session))
    assert peer.sent[2:] == [b"\xc0\x00", b"\xc0\x00"]
    peer.run(session.mqtt.ping(session))  # the connection was lost: nothing is kept
    assert len(peer.sent) == 4


def pinged(*connections):
    """A session whose connection a ping has looked after, and its peer."""
    session = assigned()
    peer = Peer(*connections)
    peer.run(session.send({}))
    peer.now += KEEP_ALIVE_S * 600
    peer.run(session.mqtt.ping(session))
    return session, peer


def test_connection_that_a_ping_found_lost_is_opened_and_kept():
    session, peer = pinged([CONNACK, puback(1), Idle()], [CONNACK, puback(2)])
    peer.run(session.send({}))
    assert len(peer.opened) == 2 and peer.left() == 0


def test_connection_that_answers_a_ping_is_kept_also_if_an_acknowledgement_comes_again():
    session, peer = pinged([CONNACK, puback(1), b"\xd0\x00", puback(1) + puback(2)])
    peer.run(session.send({}))
    assert len(peer.opened) == 1 and peer.left() == 0
    session, peer = pinged([CONNACK, puback(1), puback(1) + b"\xd0\x00", puback(2)])
    peer.run(session.send({}))
    assert len(peer.opened) == 1 and peer.left() == 0


def test_connection_with_a_wrong_answer_to_a_ping_is_lost():
    for wrong in (b"\xd0\x02\x00\x00", b"\xd0\x01\x00", b"\x40\x02\x00\x02", CLOSED):
        session, peer = pinged([CONNACK, puback(1), wrong])
        assert session.mqtt.hub is None and peer.host is None, wrong


def test_topic_is_each_messages_own():
    """That of messages without properties is made once."""
    session = assigned()
    json = {"$.ct=application%2Fjson", "$.ce=utf-8"}
    plain = "devices/d/messages/events/"
    peer = Peer([CONNACK] + [puback(n) for n in range(1, 8)])
    for properties, system, more in (
        ({"a": "1"}, None, {"a=1"}),
        (None, {"message_id": "m"}, {"$.mid=m"}),
        (None, None, set()),
        ({"a": "2"}, None, {"a=2"}),
        (None, {"message_id": "n"}, {"$.mid=n"}),
        ({"a": "3"}, {"message_id": "o"}, {"a=3", "$.mid=o"}),
        (None, None, set()),
    ):
        peer.run(session.send(b"", properties, system))
        packet = peer.sent[-1]
        at = packet.find(b"devices")
        name = packet[at : at + packet[at - 1]].decode()
        assert name[: len(plain)] == plain
        assert set(name[len(plain) :].split("&")) == json | more


def test_keep_alive_is_told_and_kept():
    peer = Peer([CONNACK, puback(1)])
    peer.run(assigned().send({}))
    packet = peer.sent[0]
    at = packet.find(b"MQTT") + 6
    assert packet[at] << 8 | packet[at + 1] == KEEP_ALIVE_S == 240
    for idle_ms, pings in ((KEEP_ALIVE_S * 500 - 1, 0), (KEEP_ALIVE_S * 500, 1)):
        session = assigned()
        peer = Peer([CONNACK, puback(1), b"\xd0\0"])
        peer.run(session.send({}))
        peer.now = session.mqtt.sent_ms + idle_ms
        peer.run(session.mqtt.ping(session))
        assert peer.sent.count(b"\xc0\0") == pings, idle_ms
