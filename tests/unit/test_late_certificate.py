"""Hubs that ask for the certificate late: when a device goes by MQTT, and when it does not."""

from harness import CLOSED, Peer, raised
from microdps.errors import LinkError, OutcomeUnknown, ServiceError
from microdps.protocol import Assignment
from microdps.protocol.url import split_host
from microdps.provisioning import assign
from microdps.session import Session
from mqtt_packets import CONNACK, HUB, puback

LATE = LinkError("alert", HUB)
NO = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
YES = b"HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n"


def auto(*connections):
    """A session with an assignment, and its peer."""
    lines = []
    session = Session(("dps", "0ne1", "d"), 5000, "auto", lines.append, bytearray(512))
    assign(session, Assignment(HUB, "d", "assigned", "", None))
    session.lines = lines
    return session, Peer(*connections)


def ports(peer):
    return [split_host(host)[1] for host in peer.opened]


def test_hub_that_asks_late_gets_the_message_by_mqtt():
    for first in ([1, LATE], [CLOSED], [1, LinkError("closed", HUB)]):
        # What is no message ends the same way, before anything is sent again.
        session, peer = auto(first, first, [CONNACK, puback(1), puback(2)])
        peer.run(session.send(b"{}"))
        peer.run(session.send(b"{}"))
        assert ports(peer) == [443, 443, 8883]
        assert peer.sent[1].startswith(b"GET ")
        assert session.proven and session.kept["transport"] == "mqtt"
        assert len([line for line in session.lines if "late" in line]) == 1


def test_hub_that_answers_401_without_a_certificate_gets_it_by_mqtt():
    session, peer = auto([NO], [CONNACK, puback(1)])
    peer.run(session.send(b"{}"))
    assert ports(peer) == [443, 8883]


def test_hub_that_answers_what_is_no_message_had_taken_it_perhaps():
    session, peer = auto([CLOSED], [b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"])
    assert isinstance(raised(peer.run, session.send(b"{}")), OutcomeUnknown)
    assert session.mqtt is None


def test_hub_that_ends_in_another_way_when_it_is_asked_gives_no_sign():
    for again in ([LinkError("connect", HUB)], [9000], [b"garbage\r\n"], [b"HTTP/1.1 4", CLOSED]):
        session, peer = auto([CLOSED], again)
        assert isinstance(raised(peer.run, session.send(b"{}")), OutcomeUnknown), again
        assert not session.by_mqtt and ports(peer) == [443, 443]


def test_certificate_that_is_really_refused_is_no_reason_for_mqtt():
    session, peer = auto([NO], [b"\x20\x02\x00\x05"])
    error = raised(peer.run, session.send(b"{}"))
    assert session.mqtt is None and session.assignment is None  # it has registered anew
    assert not isinstance(error, OutcomeUnknown)


def test_port_that_is_closed_leads_back_to_https():
    session, peer = auto([NO], [LinkError("connect", HUB)], [YES])
    peer.run(session.send(b"{}"))
    assert ports(peer) == [443, 8883, 443]
    assert session.proven and "transport" not in session.kept


def test_new_registration_tries_https_again():
    session, peer = auto([NO], [CONNACK, puback(1)], [YES])
    peer.run(session.send(b"{}"))
    assign(session, Assignment(HUB, "d", "assigned", "", None))
    assert session.mqtt is None and not session.proven
    peer.run(session.send(b"{}"))
    assert ports(peer) == [443, 8883, 443]


def test_proven_hub_is_not_doubted():
    session, peer = auto([YES, 1, LATE])
    peer.run(session.send(b"{}"))
    assert isinstance(raised(peer.run, session.send(b"{}")), OutcomeUnknown)
    assert session.mqtt is None


def test_mqtt_by_configuration():
    session = Session(("dps", "0ne1", "d"), 5000, "mqtt", buf=bytearray(512))
    assign(session, Assignment(HUB, "d", "assigned", "", None))
    peer = Peer([CONNACK, puback(1), CLOSED])
    peer.run(session.send({"a": 1}, {"alert": "true"}, {"message_id": "7"}))
    for part in (b"alert=true", b"$.mid=7", b"$.ct=application%2Fjson", b"$.ce=utf-8"):
        assert part in peer.sent[1]
    assert isinstance(raised(peer.run, session.send(b"{}")), OutcomeUnknown)


def test_error_status_other_than_401_is_no_sign_of_a_late_certificate():
    for status in (b"403", b"404", b"503"):
        refusal = b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n"
        session = Session(("dps.example", "0ne1", "d"), 1000)
        assign(session, Assignment(HUB, "d", "assigned", "", None))
        session.patience_ms = 0
        session.renewed = True
        error = raised(Peer([refusal]).run, session.send({}))
        assert isinstance(error, ServiceError) and not session.by_mqtt


def test_other_end_of_the_first_message_is_no_sign_either():
    session = Session(("dps.example", "0ne1", "d"), 1000)
    assign(session, Assignment(HUB, "d", "assigned", "", None))
    assert session.patience_ms == 60_000
    error = raised(Peer([9000]).run, session.send({}))
    assert isinstance(error, OutcomeUnknown) and error.args[0] == "timeout-answer"
    assert not session.by_mqtt
