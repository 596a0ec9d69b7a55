"""Azure's names on ports 443 and 8883 of one address: SNI tells the services apart."""

import contextlib
import random
import socket
import ssl
import subprocess
import sys

import pytest

from helpers.raw_mqtt import RawClient
from helpers.simulators import enrolled, start_simulator
from microdps_tools import CHECKOUT
from microdps_tools.simulator.by_name import DPS_NAME, hub_name
from microdps_tools.simulator.process import READY

TIMEOUT_S = 30


def free_address() -> str:
    """A loopback address for this test alone. Skips if ports below 1024 are forbidden."""
    source = random.SystemRandom()
    address = ".".join(["127", *(str(source.randrange(1, 255)) for _ in range(3))])
    try:
        with socket.socket() as probe:
            probe.bind((address, 443))
    except OSError as error:
        pytest.skip(f"this machine lets nobody listen on {address}:443 ({error.strerror})")
    return address


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    """A simulator with Azure's names → it, and its address."""
    folder, address = tmp_path_factory.mktemp("azure"), free_address()
    with start_simulator(folder, "--names=azure", "--hubs=2", f"--host={address}") as at:
        yield enrolled(folder, at), address


@contextlib.contextmanager
def connect(simulator, address, port, name, cert=None):
    context = ssl.create_default_context(cafile=simulator.root)
    if cert:
        context.load_cert_chain(*cert)
    with (
        socket.create_connection((address, port), TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        sock.settimeout(TIMEOUT_S)
        yield sock


def files(simulator, name):
    folder = simulator.device(name).parent.parent
    return folder / "full-chain.pem", folder / "key.pem"


def test_ready_line_and_lines_for_etc_hosts(azure):
    simulator, address = azure
    log = (simulator.state / "simulator.log").read_text()
    assert f"{address} {DPS_NAME}\n{address} {hub_name(1)}\n{address} {hub_name(2)}\n" in log
    assert READY.search(log)["dps"] == DPS_NAME
    assert (simulator.dps, simulator.hub) == (DPS_NAME, hub_name(1))
    connection = (simulator.state / "connection-string.key.txt").read_text()
    assert connection.startswith(f"HostName={address};")


def test_curl_by_names(azure):
    """Registration and telemetry, as against Azure, with no port anywhere."""
    simulator, address = azure
    cert, key = files(simulator, "named-01")

    def curl(method, url, *more):
        command = ["curl", "-sS", "--cacert", simulator.root, "--cert", cert, "--key", key]
        command += ["--connect-to", f"::{address}:", "-X", method, url, "-w", "%{http_code}"]
        command += ["-H", "Content-Type: application/json", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    path = f"https://{DPS_NAME}/{simulator.id_scope}/registrations/named-01"
    assert curl("PUT", f"{path}/register?api-version=2021-06-01", "-d", "{}").endswith("202")
    state = curl("POST", f"{path}?api-version=2021-06-01", "-d", "{}")
    hub = next(name for name in (hub_name(1), hub_name(2)) if f'"assignedHub":"{name}"' in state)
    events = "devices/named-01/messages/events?api-version=2020-03-13"
    assert curl("POST", f"https://{hub}/{events}", "-d", "{}") == "204"
    other = hub_name(2) if hub == hub_name(1) else hub_name(1)
    assert curl("POST", f"https://{other}/{events}", "-d", "{}").endswith("401")
    assert len(simulator.messages("named-01")) == 1


def test_mqtt_by_names(azure):
    """DPS and the hubs are on the same port 8883."""
    simulator, address = azure
    cert = files(simulator, "named-02")
    with connect(simulator, address, 8883, DPS_NAME, cert) as sock:
        client = RawClient(sock)
        user = f"{simulator.id_scope}/registrations/named-02/api-version=2019-03-31"
        assert client.open("named-02", user) == (0, 0)
        client.subscribe("$dps/registrations/res/#")
        topic, answer = client.ask("$dps/registrations/PUT/iotdps-register/?$rid=1", b"{}")
        assert "/202/" in topic
        status = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
        _, answer = client.ask(f"{status}{answer['operationId']}")
        hub = answer["registrationState"]["assignedHub"]
    with connect(simulator, address, 8883, hub.upper(), cert) as sock:
        client = RawClient(sock)
        assert client.open("named-02", f"{hub}/named-02/?api-version=2021-04-12") == (0, 0)
        client.publish("devices/named-02/messages/events/", b"{}")
        assert client.acknowledged() == 1


def test_client_that_names_nobody_gets_dps(azure):
    simulator, address = azure
    with connect(simulator, address, 443, address) as sock:  # an address: no SNI
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"x-ms-error-code" in sock.recv(1000)


def test_hub_that_asks_late_shares_the_port(tmp_path):
    address = free_address()
    options = ("--names=azure", "--hub-certificate=renegotiate", f"--host={address}")
    with start_simulator(tmp_path, *options) as at:
        simulator = enrolled(tmp_path, at)
        cert, key = files(simulator, "named-03")
        base = ["curl", "-sS", "--cacert", simulator.root, "--cert", cert, "--key", key]
        base += ["--tls-max", "1.2", "--connect-to", f"::{address}:", "-w", "%{http_code}"]
        base += ["-H", "Content-Type: application/json", "-d", "{}"]
        register = f"{simulator.id_scope}/registrations/named-03/register?api-version=2021-06-01"
        events = "devices/named-03/messages/events?api-version=2020-03-13"
        for status, more in (
            ("202", ["-X", "PUT", f"https://{DPS_NAME}/{register}"]),
            ("204", [f"https://{hub_name(1)}/{events}"]),
        ):
            done = subprocess.run(
                [*base, *more], capture_output=True, text=True, timeout=TIMEOUT_S
            )
            assert done.stdout[-3:] == status, done


def test_port_that_is_forbidden(tmp_path, monkeypatch):
    """Where ports below 1024 are forbidden, it says what would allow them."""
    import errno

    from twisted.internet.error import CannotListenError

    from microdps_tools import ToolError
    from microdps_tools.simulator import listener

    class Reactor:
        def listenSSL(self, port, *rest, **options):
            raise CannotListenError("127.0.0.1", port, OSError(errno.EACCES, "Permission denied"))

    monkeypatch.setattr(listener, "reactor", Reactor())
    with pytest.raises(ToolError, match=r"ip_unprivileged_port_start=443.*setcap"):
        listener.Listener.of("localhost").listen(443, None, None)


def test_port_that_is_in_use(azure, tmp_path):
    _, address = azure
    command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", tmp_path / "other"]
    command += ["--names=azure", f"--host={address}", "--page-port=0"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1
    assert "port 443" in done.stderr and "127.0.0.2" in done.stderr
