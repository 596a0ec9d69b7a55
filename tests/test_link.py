"""The corners of MicroPython's TLS sockets, on the real interpreter and over real TLS."""

import socket
import struct
import subprocess

import pytest

from helpers import peers
from helpers.programs import run_program
from microdps_tools import interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def results(which, peer, port, count, timeout_ms=5000):
    urls = [f"https://localhost:{port}/{i}" for i in range(count)]
    lines = run_program(which, "request.py", peer.identity, timeout_ms, *urls).lines
    return [" ".join(line.split()[:3]) for line in lines]


def test_time_out_is_sticky_for_the_socket_and_not_for_the_client(which, peer):
    """After a time-out every later read of that TLS socket fails: a new one must be opened."""
    connections = []

    def handle(connection):
        connections.append(connection)
        peers.read_request(connection)
        if len(connections) == 1:
            peers.until_closed(connection)
        else:
            connection.sendall(OK)
            peers.until_closed(connection)

    with peer(handle) as port:
        assert results(which, peer, port, 2, 700) == [
            "error LinkError timeout-answer",
            "response 200 b'ok'",
        ]
    assert len(connections) == 2


def test_end_without_close_notify_is_no_short_body(which, peer):
    """A FIN alone looks like a clean end to MicroPython: only the framing tells."""
    answers = [
        OK[:-1],
        OK[:20],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ]

    def handle(connection):
        peers.read_request(connection)
        connection.sendall(answers.pop(0))
        # Closed by the caller without unwrap(): no close_notify.

    with peer(handle) as port:
        assert results(which, peer, port, 3) == ["error ProtocolError truncated"] * 3


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="this system cannot join writes")
def test_connection_that_is_no_longer_silent_is_left_before_the_next_request(which, peer):
    """What came while it lay idle: more than was asked for, or the end."""
    requests = []

    def handle(connection):
        while read := peers.read_request(connection):
            requests.append(read)
            # One packet, so that all of it has come when the client takes the answer.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.sendall(OK)
            if len(requests) == 1:
                connection.sendall(b"HTTP/1.1 408 Too Late\r\n\r\n")
            elif len(requests) == 2:
                connection.shutdown(socket.SHUT_WR)
                rest = connection.recv(4096)  # no TLS any more: its records as they come
                assert rest[:1] != b"\x17", "a request was written"
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    with peer(handle) as port:
        assert results(which, peer, port, 3) == ["response 200 b'ok'"] * 3
    assert len(requests) == 3


def test_reset_instead_of_an_answer(which, peer):
    def handle(connection):
        peers.read_request(connection)
        linger = struct.pack("ii", 1, 0)  # close() sends a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with peer(handle) as port:
        assert results(which, peer, port, 1) == ["error LinkError closed"]


def test_tls_socket_has_no_settimeout():
    """So a deadline that changes after wrapping needs select.poll, on every release."""
    code = "import tls; print(hasattr(tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), 'settimeout'))"
    command = [*interpreter.micropython().command, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def chain_of(simulator, name, total):
    """A device below the enrolled intermediate whose chain has so many bytes, or a few less.

    The rest of it are certificates that TLS sends all the same.
    """
    device = issue(name, simulator.intermediate)
    issuers = [simulator.intermediate.cert]
    room = total - 7 - sum(len(encoding.der(c)) + 3 for c in (device.cert, *issuers))
    filler = issue("x" * 30, ca=True)
    size = len(encoding.der(filler.cert)) + 3
    issuers += [filler.cert] * (room // size)
    return device, issuers


def test_chain_up_to_the_limit_is_sent_and_a_longer_one_is_not_loaded(simulator, which):
    name = f"long-chain-{which.name}"
    device, issuers = chain_of(simulator, name, 4096)
    size = 7 + sum(len(encoding.der(c)) + 3 for c in (device.cert, *issuers))
    assert 3500 < size <= 4096
    identity = simulator.write_identity(name, device, issuers)
    assert simulator.provision(which, identity, name).lines[-1] == "sent 1"
    identity = simulator.write_identity(name, device, [*issuers, issuers[-1], issuers[-1]])
    assert simulator.provision(which, identity, name).error[:2] == ["IdentityError", "chain-limit"]
