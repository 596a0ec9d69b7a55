"""The device sends by MQTT, to mosquitto and to brokers that misbehave."""

import getpass
import shutil
import socket
import subprocess

import pytest

from helpers import peers
from helpers.programs import run_program
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key


@pytest.fixture
def name(request):
    return f"mqtt-{abs(hash(request.node.name)) % 10**9}"


def publish(which, identity, hub, device_id, count):
    """Connect to a broker, and send messages → the lines of the program."""
    return run_program(which, "mqtt_publish.py", identity, hub, device_id, count).lines


@pytest.fixture
def broker(simulator, tmp_path):
    """Debian's mosquitto. It requires a client certificate of the simulator's CA → port, root."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if not mosquitto:
        pytest.skip("mosquitto is not installed")
    root = issue("broker root", ca=True)
    peers.server_context(tmp_path, root)  # writes the server's files
    (tmp_path / "root.pem").write_bytes(encoding.pem(root.cert))
    chain = load_cert_and_key(
        simulator.folder / "certs" / "root.cert.pem", simulator.folder / "certs" / "root.key.pem"
    )
    (tmp_path / "ca.pem").write_bytes(encoding.pem(chain.cert))
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
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
    assert publish(which, identity, f"localhost:{port - 1}", name, 6) == [
        f"accepted {i}" for i in range(6)
    ]


def test_broker_that_breaks_off_at_every_byte(simulator, which, tmp_path, name):
    """It closes after each byte of CONNACK and PUBACK. The device reports it, and reconnects."""
    root = issue("broker root", ca=True)
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
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


CONNACK = b"\x20\2\0\0"


def silent(connection):
    peers.until_closed(connection)


def silent_after_connack(connection):
    connection.sendall(CONNACK)
    peers.until_closed(connection)


def slow(connection):
    peers.drip(connection, CONNACK, 0.1)
    number = connection.recv(4096).split(b"events/n=")[1][1:3]
    peers.drip(connection, b"\x40\2" + number, 0.1)
    peers.until_closed(connection)


def garbage(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peers.until_closed(connection)  # closing with unread bytes would be a reset


def too_long(connection):
    connection.sendall(CONNACK)
    connection.recv(4096)
    connection.sendall(b"\x40\xff\xff\xff\x7f")
    peers.until_closed(connection)


def test_broker_that_is_silent_or_slow_or_sends_garbage(simulator, which, tmp_path, name):
    root = issue("broker root", ca=True)
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
    context = peers.server_context(tmp_path, root)
    behaviours = [silent, silent_after_connack, garbage, too_long, slow]

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
