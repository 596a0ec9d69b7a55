"""The simulated hub's MQTT, with paho-mqtt and mosquitto_pub as its clients."""

import shutil
import socket
import ssl
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from microdps_tools.simulator.hub import mqtt_packets

TIMEOUT_S = 20


@pytest.fixture
def name(request):
    return f"mqtt-{abs(hash(request.node.name)) % 10**9}"


API = "/?api-version=2021-04-12"


class Client:
    """A device by paho-mqtt."""

    def __init__(self, simulator, name, user=None, client_id=None, keepalive=60):
        folder = simulator.made(name)
        self.connected, self.lost = threading.Event(), threading.Event()
        self.reason = None
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id or name)
        self.client.tls_set(
            str(simulator.root), str(folder / "full-chain.pem"), str(folder / "key.pem")
        )
        self.client.username_pw_set(user or f"localhost/{name}{API}")
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.reconnect_delay_set(600, 600)
        self.client.connect("localhost", simulator.mqtt_port, keepalive)
        self.client.loop_start()
        assert self.connected.wait(TIMEOUT_S) or self.lost.wait(TIMEOUT_S)

    def _on_connect(self, client, userdata, flags, reason, properties):
        self.reason = str(reason)
        self.connected.set()

    def _on_disconnect(self, client, userdata, flags, reason, properties):
        self.lost.set()

    def publish(self, topic, payload=b"{}", qos=1, retain=False) -> bool:
        """Publish → True if it was acknowledged; False if the hub closed the connection."""
        info = self.client.publish(topic, payload, qos, retain)
        deadline = time.monotonic() + TIMEOUT_S
        while not self.lost.wait(0.02):
            if info.is_published() and qos:
                return True
            assert time.monotonic() < deadline, "neither acknowledged nor closed"
        return False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device(simulator, which, name):
    """The name of a provisioned device."""
    simulator.provision(which, simulator.device(name), name, 0)
    return name


def test_paho_sends_with_properties(simulator, device):
    with Client(simulator, device) as client:
        assert client.reason == "Success"
        topic = f"devices/{device}/messages/events/$.mid=7&alert=true&a%20b=c%26d"
        assert client.publish(topic, b"first")
        assert client.publish(f"devices/{device}/messages/events/", b"x" * 200_000)
    first, second = simulator.messages(device)
    assert first == (
        {"iothub-messageid": "7", "iothub-app-alert": "true", "iothub-app-a b": "c&d"},
        b"first",
    )
    assert second == ({}, b"x" * 200_000)


@pytest.mark.parametrize(
    ("topic", "qos", "retain"),
    [
        ("devices/{}/messages/events/", 2, False),
        ("devices/somebody-else/messages/events/", 1, False),
        ("anything", 1, False),
    ],
)
def test_packet_that_the_hub_refuses_closes_the_connection(simulator, device, topic, qos, retain):
    with Client(simulator, device) as client:
        assert not client.publish(topic.format(device), b"{}", qos, retain)
    assert simulator.messages(device) == []


def test_user_name_and_client_id_must_be_those_of_the_device(simulator, device):
    for given, reason in (
        ({"client_id": "somebody-else"}, "Client identifier not valid"),
        ({"user": f"other.example/{device}{API}"}, "Not authorized"),
        ({"user": f"localhost/{device}/"}, "Not authorized"),
        (
            {"user": f"localhost/nobody{API}", "client_id": "nobody"},
            "Not authorized",
        ),
    ):
        with Client(simulator, device, **given) as client:
            assert client.reason == reason, given


def test_newer_connection_of_a_device_wins(simulator, device):
    with Client(simulator, device) as first, Client(simulator, device) as second:
        assert first.lost.wait(TIMEOUT_S)
        assert second.publish(f"devices/{device}/messages/events/")


def test_connection_without_a_packet_for_too_long_is_closed(simulator, device):
    """Without paho, which would send a PINGREQ."""
    folder = simulator.made(device)
    context = ssl.create_default_context(cafile=simulator.root)
    context.load_cert_chain(folder / "full-chain.pem", folder / "key.pem")
    user = f"localhost/{device}{API}".encode()
    text = device.encode()
    body = b"\0\4MQTT\4\x82\0\1" + b"\0%c" % len(text) + text + b"\0%c" % len(user) + user
    with (
        socket.create_connection(("localhost", simulator.mqtt_port), TIMEOUT_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(mqtt_packets.packet(mqtt_packets.Kind.CONNECT, body))
        assert connection.recv(4) == b"\x20\2\0\0"
        connection.sendall(mqtt_packets.packet(mqtt_packets.Kind.PINGREQ))
        assert connection.recv(2) == b"\xd0\0"
        assert connection.recv(1) == b""


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto_pub is not installed")
def test_mosquitto_pub(simulator, device):
    folder = simulator.made(device)
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(simulator.mqtt_port), "-V", "311"]
    command += ["--cafile", simulator.root, "--cert", folder / "full-chain.pem"]
    command += ["--key", folder / "key.pem", "-i", device, "-u", f"localhost/{device}{API}"]
    command += ["-q", "1", "-t", f"devices/{device}/messages/events/a=b", "-m", "hello"]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    assert simulator.messages(device) == [({"iothub-app-a": "b"}, b"hello")]
