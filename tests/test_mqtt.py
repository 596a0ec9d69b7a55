"""MQTT: the device against the simulated hub and a real broker, the simulated hub against real
clients."""

import ast
import contextlib
import getpass
import shutil
import socket
import ssl
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

import peers
from conftest import enrolled, run_code, run_program, start_simulator
from host_tools import certs
from host_tools.simulator import mqtt
from host_tools.simulator.store import Store

API = "/?api-version=2021-04-12"
TIMEOUT_S = 20


@pytest.fixture(scope="module", params=["renegotiate", "close", "unauthorized"])
def late(request, tmp_path_factory):
    """A simulator whose hub wants the certificate late, in each of the ways that shows."""
    folder = tmp_path_factory.mktemp(request.param)
    with start_simulator(folder, "--hub-certificate", request.param) as at:
        yield enrolled(folder, at)


@pytest.fixture
def name(request):
    return f"mqtt-{abs(hash(request.node.name)) % 10**9}"


def messages(simulator, device_id):
    with contextlib.closing(Store(simulator.state)) as store:
        return [m[2:] for m in store.messages() if m[1] == device_id]


def requests(simulator, device_id):
    with contextlib.closing(Store(simulator.state)) as store:
        return [r for r in store.requests() if device_id in r["path"]]


def test_hub_that_asks_late_gets_each_message_once_by_mqtt(late, which, name):
    result = late.provision(which, late.device(name), name, 3)
    assert result.lines[-1] == "sent 3"
    assert len(messages(late, name)) == 3
    done = [r["method"] for r in requests(late, name) if r["path"].startswith("mqtt:")]
    assert done == ["CONNECT", "PUBLISH", "PUBLISH", "PUBLISH"]


def test_what_is_not_needed_is_not_loaded_while_https_serves(simulator, which, name):
    lines = run_code(
        which,
        "from microdps.device import Device\n"
        "from microdps.identity import Identity\n"
        f"identity = Identity.from_files({str(simulator.device(name))!r})\n"
        f"device = Device(identity, {simulator.id_scope!r}, {name!r}, {simulator.dps!r})\n"
        "device.send({})\n"
        "print(sorted(name[9:] for name in sys.modules if name[:9] == 'microdps.'))\n",
    ).lines
    never = {"backoff", "late_certificate", "protocol.mqtt", "protocol.properties", "memory"}
    loaded = set(ast.literal_eval(lines[-1]))
    assert {"device", "session", "errors", "protocol.http", "protocol.hub"} <= loaded
    assert not (never | {"driver.link_error", "protocol.redirect", "state"}) & loaded


def test_transport_by_configuration(simulator, which, name):
    identity = simulator.device(name)
    assert simulator.provision(which, identity, name, 2, transport="mqtt").lines[-1] == "sent 2"
    ((properties, body), _) = messages(simulator, name)
    assert properties == {"content-type": "application/json", "content-encoding": "utf-8"}
    assert body == b'{"temperature": 30, "i": 0}' or body == b'{"i": 0, "temperature": 30}'


def test_certificate_that_is_really_refused_is_refused_by_mqtt_as_well(simulator, which, name):
    """Enrolled with one certificate, sending with another that the hub does not know."""
    identity = simulator.device(name)
    assert simulator.provision(which, identity, name).lines[-1] == "sent 1"
    stranger = certs.issue("stranger", ca=True)
    simulator.lay(name, certs.issue(name, stranger), [stranger.cert])
    port = mqtt_port(simulator)
    lines = publish(which, identity, f"localhost:{port - 1}", name, 1)
    assert lines == ["error ServiceError connack"]


def publish(which, identity, hub, device_id, count):
    return run_program(which, "mqtt_publish.py", identity, hub, device_id, count).lines


def mqtt_port(simulator) -> int:
    return int(simulator.hub.split(":")[1]) + 1


class Client:
    """A device by paho-mqtt."""

    def __init__(self, simulator, name, user=None, client_id=None, keepalive=60):
        folder = simulator.device(name).parent.parent
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
        self.client.connect("localhost", mqtt_port(simulator), keepalive)
        self.client.loop_start()
        assert self.connected.wait(TIMEOUT_S) or self.lost.wait(TIMEOUT_S)

    def _on_connect(self, client, userdata, flags, reason, properties):
        self.reason = str(reason)
        self.connected.set()

    def _on_disconnect(self, client, userdata, flags, reason, properties):
        self.lost.set()

    def publish(self, topic, payload=b"{}", qos=1, retain=False) -> bool:
        """Publish → True if it was acknowledged, False if the hub closed the connection."""
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
    first, second = messages(simulator, device)
    assert first == (
        {"iothub-messageid": "7", "iothub-app-alert": "true", "iothub-app-a b": "c&d"},
        b"first",
    )
    assert second == ({}, b"x" * 200_000)


@pytest.mark.parametrize(
    ("topic", "qos", "retain"),
    [
        ("devices/{}/messages/events/", 2, False),
        ("devices/{}/messages/events/", 1, True),
        ("devices/somebody-else/messages/events/", 1, False),
        ("anything", 1, False),
    ],
)
def test_what_the_hub_does_not_take_closes_the_connection(simulator, device, topic, qos, retain):
    with Client(simulator, device) as client:
        assert not client.publish(topic.format(device), b"{}", qos, retain)
    assert messages(simulator, device) == []


def test_user_name_and_client_id_must_be_the_certificates(simulator, device):
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
    """By hand: paho would send its PINGREQ."""
    folder = simulator.device(device).parent.parent
    context = ssl.create_default_context(cafile=simulator.root)
    context.load_cert_chain(folder / "full-chain.pem", folder / "key.pem")
    user = f"localhost/{device}{API}".encode()
    text = device.encode()
    body = b"\0\4MQTT\4\x82\0\1" + b"\0%c" % len(text) + text + b"\0%c" % len(user) + user
    with (
        socket.create_connection(("localhost", mqtt_port(simulator)), TIMEOUT_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(mqtt.packet(mqtt.Kind.CONNECT, body))
        assert connection.recv(4) == b"\x20\2\0\0"
        connection.sendall(mqtt.packet(mqtt.Kind.PINGREQ))
        assert connection.recv(2) == b"\xd0\0"
        assert connection.recv(1) == b""


@pytest.mark.skipif(not shutil.which("mosquitto_pub"), reason="mosquitto_pub is not installed")
def test_mosquitto_pub(simulator, device):
    folder = simulator.device(device).parent.parent
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(mqtt_port(simulator)), "-V", "311"]
    command += ["--cafile", simulator.root, "--cert", folder / "full-chain.pem"]
    command += ["--key", folder / "key.pem", "-i", device, "-u", f"localhost/{device}{API}"]
    command += ["-q", "1", "-t", f"devices/{device}/messages/events/a=b", "-m", "hello"]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    assert messages(simulator, device) == [({"iothub-app-a": "b"}, b"hello")]


@pytest.fixture
def broker(simulator, tmp_path):
    """Debian's mosquitto, which requires a certificate below the enrolled one → port, root."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if not mosquitto:
        pytest.skip("mosquitto is not installed")
    root = certs.issue("broker root", ca=True)
    peers.server_context(tmp_path, root)  # writes the server's files
    (tmp_path / "root.pem").write_bytes(certs.pem(root.cert))
    chain = certs.load_pair(
        simulator.folder / "certs" / "root.cert.pem", simulator.folder / "certs" / "root.key.pem"
    )
    (tmp_path / "ca.pem").write_bytes(certs.pem(chain.cert))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\n"
        f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/peer.cert.pem\n"
        f"keyfile {tmp_path}/peer.key.pem\nrequire_certificate true\nallow_anonymous true\n"
        f"user {getpass.getuser()}\n"
    )
    with subprocess.Popen(
        [mosquitto, "-c", tmp_path / "mosquitto.conf"], stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if "running" in line:
                break
        else:
            pytest.fail("mosquitto did not start")
        yield port, root
        process.terminate()


def test_device_on_mosquitto(simulator, which, name, broker):
    port, root = broker
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(certs.der(root.cert))
    assert publish(which, identity, f"localhost:{port - 1}", name, 6) == [
        f"accepted {i}" for i in range(6)
    ]


def test_broker_that_breaks_off_at_every_byte(simulator, which, tmp_path, name):
    """Closed after each byte of the CONNACK and the PUBACK: an error of ours, and always the next
    connection."""
    root = certs.issue("broker root", ca=True)
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(certs.der(root.cert))
    context = peers.server_context(tmp_path, root)
    answers = [(at, b) for at in range(4) for b in (0, 1)] + [(4, 1)]

    def handle(connection):
        at, packet = answers.pop(0)
        connection.recv(4096)
        if not packet:
            connection.sendall(b"\x20\2\0\0"[:at])
            return
        connection.sendall(b"\x20\2\0\0")
        number = connection.recv(4096).split(b"events/n=")[1][1:3]
        connection.sendall((b"\x40\2" + number)[:at])

    with peers.listening(peers.tls(context, handle)) as port:
        lines = publish(which, identity, f"localhost:{port - 1}", name, 9)
    assert lines == ["error LinkError closed"] * 8 + ["accepted 8"]


def test_device_under_asyncio_goes_by_mqtt_as_well(late_simulator, which, name):
    identity = late_simulator.device(name)
    arguments = (identity, late_simulator.id_scope, name, late_simulator.dps, "send")
    assert run_program(which, "blink.py", *arguments).lines[1] == "sent 2"
    assert len(messages(late_simulator, name)) == 2


def test_broker_that_is_silent_or_slow_or_sends_garbage(simulator, which, tmp_path, name):
    root = certs.issue("broker root", ca=True)
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(certs.der(root.cert))
    context = peers.server_context(tmp_path, root)
    connack = b"\x20\2\0\0"

    def silent(connection):
        peers.until_closed(connection)

    def silent_after(connection):
        connection.sendall(connack)
        peers.until_closed(connection)

    def slow(connection):
        peers.drip(connection, connack, 0.1)
        number = connection.recv(4096).split(b"events/n=")[1][1:3]
        peers.drip(connection, b"\x40\2" + number, 0.1)
        peers.until_closed(connection)

    def garbage(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peers.until_closed(connection)  # a close with bytes unread would be a reset

    def too_long(connection):
        connection.sendall(connack)
        connection.recv(4096)
        connection.sendall(b"\x40\xff\xff\xff\x7f")
        peers.until_closed(connection)

    behaviours = [silent, silent_after, garbage, too_long, slow]

    def handle(connection):
        behaviour = behaviours.pop(0)
        connection.recv(4096)
        behaviour(connection)

    with peers.listening(peers.tls(context, handle)) as port:
        lines = publish(which, identity, f"localhost:{port - 1}", name, 5)
    assert lines == [
        "error LinkError timeout-answer",
        "error LinkError timeout-answer",
        "error ProtocolError mqtt",
        "error ProtocolError mqtt",
        "accepted 4",
    ]


def test_simulator_on_an_address_of_this_machine(which, name, tmp_path):
    """As a board on the desk reaches it: by an IP address, which the certificate is for."""
    with start_simulator(tmp_path, "--host", "127.0.0.2") as at:
        assert at["dps"].startswith("127.0.0.2:")
        simulator = enrolled(tmp_path, at)
        for transport in ("https", "mqtt"):
            result = simulator.provision(which, simulator.device(name), name, transport=transport)
            assert result.lines[-1] == "sent 1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(at["dps"].split(":")[1])))
