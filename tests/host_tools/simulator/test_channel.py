"""Deadlines for slow clients, by a clock of the tests; and clients that do not speak HTTP."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource

from helpers.hostile import connect, log_lines
from microdps_tools.simulator.channel import BODY_S, HEAD_S, Channel
from microdps_tools.simulator.endpoints import make_site

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"


class Transport(StringTransport):
    def abortConnection(self):
        self.disconnecting = True


class Service(Resource):
    isLeaf = True

    def __init__(self):
        super().__init__()
        self.refused = []

    def refuse_connection(self, why):
        self.refused.append(why)

    def render(self, request):
        return b"ok"


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def channel(service):
    site = make_site(service)
    made = site.buildProtocol(None)
    assert isinstance(made, Channel)
    made.clock = made.callLater = Clock()
    made.callLater = made.clock.callLater
    made.makeConnection(Transport())
    return made


def drip(channel, data, seconds) -> bool:
    """Send a byte in each second → was the connection closed?"""
    for at in range(seconds):
        channel.dataReceived(data[at % len(data) : at % len(data) + 1])
        channel.clock.advance(1)
        if channel.transport.disconnecting:
            return True
    return False


def test_head_that_comes_byte_by_byte(channel, service):
    assert not drip(channel, b"GET /" + b"x" * 100, HEAD_S - 1)
    assert drip(channel, b"xx", 2)
    assert service.refused == [f"no whole head of a request within {HEAD_S} s"]


def test_endless_header_lines(channel, service):
    channel.dataReceived(HEAD)
    assert drip(channel, b"a: b\r\n", HEAD_S + 1)


def test_body_that_comes_byte_by_byte(channel, service):
    channel.dataReceived(HEAD + b"Content-Length: 1000\r\n\r\n")
    assert not drip(channel, b"x", BODY_S - 1)
    assert drip(channel, b"x", 2)
    assert service.refused == [f"no whole body of a request within {BODY_S} s"]


def test_deadline_begins_anew_with_each_request(channel, service):
    for _ in range(3):
        assert not drip(channel, HEAD + b"\r\n", HEAD_S - 1)
        channel.dataReceived((HEAD + b"\r\n")[HEAD_S - 1 :])
        assert channel.transport.value().startswith(b"HTTP/1.1 200")
        channel.transport.clear()
        channel.clock.advance(HEAD_S + 1)  # an idle connection may stay
    assert service.refused == []


def test_silent_client(channel):
    channel.clock.advance(61)
    assert channel.transport.disconnecting


def test_connect_of_mqtt(channel, service):
    channel.dataReceived(b"\x10\x0e\0\4MQTT\4\2\0\0\0\2id")
    assert channel.transport.disconnecting
    assert "a CONNECT of MQTT" in service.refused[0]
    channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert channel.transport.value() == b""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x10\x8e\x01\0\4MQTT\4\2\0\0\0\2id", "MQTT"),
        (b"\x10\x0e\0\6MQIsdp\3\2\0\0", "MQTT 3.1"),
        (b"AMQP\3\1\0\0", "AMQP is not simulated"),
    ],
)
def test_other_protocols(channel, service, data, why):
    channel.dataReceived(data)
    assert channel.transport.disconnecting
    assert why in service.refused[0]


def test_connect_of_mqtt_on_a_real_port(simulator):
    with connect(simulator, simulator.hub) as sock:
        sock.sendall(b"\x10\x0e\0\4MQTT\4\2\0\0\0\2id")
        assert sock.recv(100) == b""
    assert log_lines(simulator, "hub CLOSE  0 a CONNECT of MQTT")
