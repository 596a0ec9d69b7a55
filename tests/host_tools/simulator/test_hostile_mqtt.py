"""Hostile MQTT clients: random packets; and slow and silent clients on every port."""

import contextlib
import os
import random
import socket
import ssl
import time

import pytest

from helpers.by_hand import TIMEOUT_S
from helpers.hostile import assert_unhurt, connect, victim
from helpers.mqtt_fuzzer import MqttFuzzer
from helpers.raw_mqtt import RawClient, hub_client
from microdps_tools.simulator.hub.mqtt_packets import Kind, packet

# `make test-fuzz` sends more.
CONNECTIONS = int(os.environ.get("FUZZ_REQUESTS", "1500")) // 10
SEED = int(os.environ.get("FUZZ_SEED", "6"))
AT_ONCE = 2000

# What the service sends.
SENT = {Kind.CONNACK, Kind.PUBLISH, Kind.PUBACK, Kind.SUBACK, Kind.UNSUBACK, Kind.PINGRESP}


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with victim(tmp_path_factory, "victim-02") as device:
        yield device


@pytest.fixture(scope="module")
def simulator(device):
    return device.simulator


@pytest.fixture(autouse=True)
def unhurt(simulator, device):
    yield
    with hub_client(simulator, device.name) as client:
        client.ping()
    assert_unhurt(device)


def hosts(simulator) -> dict[str, str]:
    """Each port that speaks TLS."""
    return {
        "dps": simulator.dps,
        "dps over mqtt": simulator.dps_mqtt,
        "hub": simulator.hub,
        "hub over mqtt": f"localhost:{simulator.mqtt_port}",
    }


def test_random_packets(simulator, device):
    """The service closes the connection, or goes on and answers a PINGREQ."""
    source = random.Random(SEED)  # noqa: S311  reproducible
    fuzzer = MqttFuzzer(simulator, device.name, source)
    seen: dict[int, int] = {}
    places = list(hosts(simulator).values())[1::2]
    for number in range(CONNECTIONS):
        is_hub = number % 2 == 1
        with connect(simulator, places[is_hub], device.cert) as sock:
            client = RawClient(sock)
            data = fuzzer.connect(is_hub)
            data += b"".join(fuzzer.packet() for _ in range(source.randrange(1, 12)))
            ping = packet(Kind.PINGREQ)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.send(data + ping * 200)  # enough to end a packet whose length is wrong
            client.sock.settimeout(0.5)
            with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
                while found := client.read():
                    assert found[0] in SENT, found
                    seen[found[0]] = seen.get(found[0], 0) + 1
                    if found[0] == Kind.PINGRESP:
                        break
    assert SENT - {Kind.UNSUBACK} <= set(seen), seen


@pytest.mark.parametrize("name", ["dps", "dps over mqtt", "hub", "hub over mqtt", "page"])
def test_silent_and_slow_clients(simulator, device, name):
    """A hundred that say nothing, and ten that send a byte now and then."""
    host = hosts(simulator).get(name) or simulator.page.split("/")[2]
    where = host.rsplit(":", 1)[0], int(host.rsplit(":", 1)[1])
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(where, TIMEOUT_S))
        slow = []
        for _ in range(10):
            if name == "page":
                slow.append(stack.enter_context(socket.create_connection(where, TIMEOUT_S)))
            else:
                slow.append(stack.enter_context(connect(simulator, host, device.cert)))
        for byte in b"\x10\x50\x00\x04":
            for sock in slow:
                sock.sendall(bytes([byte]))
            assert device.send().status_code == 204


def test_connect_that_never_ends_is_closed(simulator, device):
    with connect(simulator, f"localhost:{simulator.mqtt_port}", device.cert) as sock:
        start = time.monotonic()
        sock.settimeout(1)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while time.monotonic() < start + 2 * TIMEOUT_S:
                sock.sendall(b"\x10")
                with contextlib.suppress(TimeoutError):
                    if sock.recv(10) == b"":
                        break
        assert time.monotonic() < start + TIMEOUT_S


def test_client_that_does_not_read_its_answers(simulator, device):
    """Nothing is kept for it without an end: the simulator stops reading."""
    with hub_client(simulator, device.name) as client:
        client.subscribe("$iothub/twin/res/#")
        client.ask(
            "$iothub/twin/PATCH/properties/reported/?$rid=1",
            b'{"a": "' + b"x" * 4000 + b'"}',
        )
        client.sock.settimeout(0.5)
        sent = 0
        ask = packet(Kind.PUBLISH, b"\0\x18$iothub/twin/GET/?$rid=1")
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                client.send(ask * 1000)
                sent += len(ask) * 1000
        assert sent < 50_000_000


def test_two_thousand_connections_at_once(simulator, device):
    places = [host for _, host in hosts(simulator).items()]
    with contextlib.ExitStack() as stack:
        for number in range(AT_ONCE):
            host, port = places[number % 4].rsplit(":", 1)
            stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT_S))
        for place in places:
            for _ in range(20):
                stack.enter_context(connect(simulator, place, device.cert))
        for _ in range(10):
            assert device.send().status_code == 204
