"""Servers on loopback that misbehave, over real sockets and real TLS."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from microdps_tools.certs import encoding
from microdps_tools.certs.making import CertAndKey, issue
from microdps_tools.files import write_files

# How long a server thread may take to notice that its test is over.
STOP_S = 10


def server_context(folder: Path, issuer: CertAndKey, **issued) -> ssl.SSLContext:
    """TLS 1.2, as DPS uses it, with a server certificate that the issuer has signed."""
    issued.setdefault("hosts", (x509.DNSName("localhost"),))
    pair = issue("peer", issuer, usage=ExtendedKeyUsageOID.SERVER_AUTH, **issued)
    write_files(folder, encoding.pem_files("peer", pair), force=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "peer.cert.pem", folder / "peer.key.pem")
    return context


def require_client(context: ssl.SSLContext, issuer: CertAndKey) -> ssl.SSLContext:
    """Accept only clients whose certificate chain leads to the issuer."""
    context.load_verify_locations(cadata=encoding.pem(issuer.cert).decode())
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection with handle, in a separate thread → the port."""
    server = socket.create_server(("127.0.0.1", 0))
    threads = []
    failures = []

    def serve(connection):
        try:
            with connection:
                handle(connection)
        except OSError:
            pass  # the client has left, or the handshake has failed, as the test expects
        except BaseException as error:
            failures.append(error)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for thread in (accepting, *threads):
            thread.join(STOP_S)
    assert not failures, failures


def tls(context: ssl.SSLContext, handle: Callable[[ssl.SSLSocket], None]):
    """Make a handler of plain connections from a handler of TLS connections."""

    def wrapped(connection):
        with context.wrap_socket(connection, server_side=True) as secured:
            handle(secured)

    return wrapped


def read_request(connection: ssl.SSLSocket) -> bytes:
    """Read a request's head and body → the head; empty if the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(4096)
    return head


def until_closed(connection: socket.socket) -> None:
    """Say nothing until the client closes."""
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass


def drip(connection: ssl.SSLSocket, data: bytes, pause_s: float) -> None:
    """Send one byte at a time. The tests need the pauses in between."""
    for at in range(len(data)):
        connection.sendall(data[at : at + 1])
        time.sleep(pause_s)
