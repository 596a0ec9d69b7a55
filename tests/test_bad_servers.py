"""Servers that misbehave cause a clear error, in time. Where TLS is involved, it is real TLS."""

import datetime
import socket
import ssl

import pytest
from cryptography import x509

from helpers import peers
from helpers.errors import expect
from helpers.programs import run_program
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_certs
from microdps_tools.files import write_files

PAST = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=60)
FUTURE = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=60)

TIMEOUT_MS = 1500  # short, because tests wait for it
GRACE_MS = 1500  # how much later the error may come


@pytest.fixture
def device(simulator, which, request):
    """A new device for each test → its name, its identity folder."""
    name = f"bad-{abs(hash(request.node.name)) % 10**9}"
    return name, simulator.device(name)


@pytest.fixture
def tls_peer(simulator, tmp_path):
    """A function that starts a TLS server from a handler of its connections → its port.

    Its attribute roots is the file with the server's root.
    """
    root = issue("peer root", ca=True)
    write_files(tmp_path, {"peer-root.pem": encoding.pem(root.cert)})

    def make(handle, **issued):
        context = peers.server_context(tmp_path, root, **issued)
        peers.require_client(context, simulator.intermediate)
        return peers.listening(peers.tls(context, handle))

    make.roots = tmp_path / "peer-root.pem"
    return make


def trusting(simulator, tls_peer, device):
    """The device's identity, with the peer's root."""
    name, identity = device
    root = load_certs(tls_peer.roots)[0]
    (identity / "roots.der").write_bytes(encoding.der(root))
    return name, identity


def test_wrong_host_name(simulator, which, device, tls_peer):
    name, identity = trusting(simulator, tls_peer, device)
    with tls_peer(peers.until_closed, hosts=(x509.DNSName("elsewhere.example"),)) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "server-certificate", "host name")


@pytest.mark.parametrize("start", [PAST, FUTURE])
def test_server_certificate_outside_its_validity(simulator, which, device, tls_peer, start):
    name, identity = trusting(simulator, tls_peer, device)
    with tls_peer(peers.until_closed, start=start, days=30) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "server-certificate", "dates")
    assert "expired" in result.text or "future" in result.text or "not yet valid" in result.text


def test_device_certificate_that_tls_refuses(simulator, which, device, tls_peer):
    """The server refuses it in the handshake, with an alert that gives no reason."""
    name, _ = device
    other = issue("another intermediate", ca=True)
    name, identity = trusting(
        simulator,
        tls_peer,
        (name, simulator.write_identity(name, issue(name, other), [other.cert])),
    )
    with tls_peer(peers.until_closed) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "handshake", "the device's certificate", "expired", "issuer")


def test_name_that_does_not_resolve(simulator, which, device):
    name, identity = device
    result = simulator.provision(which, identity, name, host="dps.invalid")
    expect(result, "LinkError", "dns", "dps.invalid", within_ms=30_000)


def test_refused_connection(simulator, which, device):
    name, identity = device
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "connect", f"localhost:{port}")


def test_server_that_accepts_no_connection(simulator, which, device):
    """Its queue is full, so the kernel leaves further connections waiting."""
    name, identity = device
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        host = f"localhost:{server.getsockname()[1]}"
        result = simulator.provision(which, identity, name, host=host, timeout_ms=TIMEOUT_MS)
        for client in waiting:
            client.close()
    expect(result, "LinkError", "timeout-connect", host, within_ms=TIMEOUT_MS + GRACE_MS)


def test_server_silent_in_the_handshake(simulator, which, device):
    name, identity = device
    with peers.listening(peers.until_closed) as port:
        host = f"localhost:{port}"
        result = simulator.provision(which, identity, name, host=host, timeout_ms=TIMEOUT_MS)
    expect(result, "LinkError", "timeout-handshake", host, within_ms=TIMEOUT_MS + GRACE_MS)


def test_server_silent_after_the_request(simulator, which, device, tls_peer):
    name, identity = trusting(simulator, tls_peer, device)
    with tls_peer(peers.until_closed) as port:
        host = f"localhost:{port}"
        result = simulator.provision(which, identity, name, host=host, timeout_ms=TIMEOUT_MS)
    expect(result, "LinkError", "timeout-answer", host, within_ms=TIMEOUT_MS + GRACE_MS)


def test_server_that_sends_one_byte_at_a_time(simulator, which, device, tls_peer):
    """Only a deadline for the whole answer ends this."""
    name, identity = trusting(simulator, tls_peer, device)

    def handle(connection):
        peers.read_request(connection)
        peers.drip(connection, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000, 0.05)

    with tls_peer(handle) as port:
        host = f"localhost:{port}"
        result = simulator.provision(which, identity, name, host=host, timeout_ms=TIMEOUT_MS)
    expect(result, "LinkError", "timeout-answer", host, within_ms=TIMEOUT_MS + GRACE_MS)


def test_server_that_speaks_no_tls(simulator, which, device):
    name, identity = device

    def handle(connection):
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with peers.listening(handle) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "handshake", "TLS server")


def test_server_that_closes_in_the_handshake(simulator, which, device):
    name, identity = device
    with peers.listening(lambda connection: connection.recv(100)) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "handshake", "TLS")


def test_server_without_a_common_cipher(simulator, which, device, tmp_path):
    name, identity = device
    root = issue("peer root", ca=True)
    context = peers.server_context(tmp_path, root)
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
    if which.name == "CPython":
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    with peers.listening(peers.tls(context, peers.until_closed)) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "handshake", "TLS 1.2")


def test_answer_that_is_not_http(simulator, which, device, tls_peer):
    name, identity = trusting(simulator, tls_peer, device)

    def handle(connection):
        peers.read_request(connection)
        connection.sendall(b"220 mail.example ESMTP\r\n")

    with tls_peer(handle) as port:
        host = f"localhost:{port}"
        result = simulator.provision(which, identity, name, host=host)
    expect(result, "ProtocolError", "no-http", "no HTTP/1.1 answer", host)


def test_server_that_closes_without_an_answer(simulator, which, device, tls_peer):
    name, identity = trusting(simulator, tls_peer, device)
    with tls_peer(lambda connection: peers.read_request(connection)) as port:
        result = simulator.provision(which, identity, name, host=f"localhost:{port}")
    expect(result, "LinkError", "closed", "without an answer")


def test_client_is_usable_after_each_error(simulator, which, device, tls_peer):
    name, identity = trusting(simulator, tls_peer, device)
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"garbage\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nlong",
        b"HTTP/1.1 200 OK\r\n\r\nuntil closed",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ]
    left = list(answers)

    def handle(connection):
        # One request for each connection: the client must open the next one by itself.
        peers.read_request(connection)
        connection.sendall(left.pop(0))
        connection.unwrap()

    with tls_peer(handle) as port:
        urls = [f"https://localhost:{port}/{i}" for i in range(len(answers))]
        result = run_program(which, "request.py", identity, 5000, *urls)
    assert [" ".join(line.split()[:3]) for line in result.lines] == [
        "response 200 b'ok'",
        "error ProtocolError no-http",
        "error LinkError closed",
        "error ProtocolError truncated",
        "error ProtocolError limit",
        "response 200 b'until",
        "response 204 b''",
    ]
