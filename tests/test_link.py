"""The quirks of MicroPython's TLS sockets, on the real interpreter and over real TLS."""

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


def test_client_opens_a_new_socket_after_a_time_out(which, peer):
    """After a time-out, every later read of the same TLS socket fails."""
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


def test_end_without_close_notify_is_an_error_and_not_a_short_body(which, peer):
    """To MicroPython, a FIN looks like a clean end. Only the framing of HTTP shows the error."""
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
def test_idle_connection_that_receives_something_is_not_used_again(which, peer):
    """It receives an answer without a request, or the end of the connection."""
    requests = []

    def handle(connection):
        while read := peers.read_request(connection):
            requests.append(read)
            # One packet, so that everything has arrived when the client reads the answer.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.sendall(OK)
            if len(requests) == 1:
                connection.sendall(b"HTTP/1.1 408 Too Late\r\n\r\n")
            elif len(requests) == 2:
                connection.shutdown(socket.SHUT_WR)
                rest = connection.recv(4096)  # no TLS any more: these are raw records
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
    """So the client needs select.poll for its deadlines, on every release."""
    code = "import tls; print(hasattr(tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), 'settimeout'))"
    command = [*interpreter.micropython().command, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def chain_of(simulator, name, total):
    """A device below the enrolled intermediate, whose chain has that many bytes or slightly fewer.

    Unrelated certificates fill the chain. TLS sends them, too.
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
