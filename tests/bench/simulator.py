"""make bench: the simulator's throughput, compared with simpler servers on the same machine.

    registrations  each one has its own connection: handshake, register, poll. Compared with the
                   handshakes of `openssl s_server` and `openssl s_time`
    messages       durable, on kept-alive connections. Compared with a bare Twisted resource that
                   answers 204
    memory         of 1,000 connected devices
    look-up        of an enrollment among 100,000. Compared with one among 10

All use mutual TLS 1.2 with EC P-256 keys, over loopback, with one process for each server.
"""

import contextlib
import multiprocessing
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path

from helpers.simulators import enrolled, start_simulator
from microdps_tools import CHECKOUT
from microdps_tools.certs import encoding
from microdps_tools.files import write_files
from microdps_tools.simulator.server_certificate import server_certificate
from microdps_tools.simulator.store.store import Store

# How long each measurement takes, and how often it is repeated.
SECONDS = 3
RUNS = 3
WORKERS = 2
CONNECTIONS = 8  # of each worker, for messages
DEVICES = 1000
BODY = b'{"temperature": 30}'


def context(cert: Path, key: Path, root: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(root))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(cert, key)
    return made


def connect(tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    name, port = host.rsplit(":", 1)
    plain = socket.create_connection((name, int(port)), 30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(plain, server_hostname=name)


def request(sock: ssl.SSLSocket, method: str, host: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    sock.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = sock.recv(65536)
    while b"chunked" in answer and not answer.endswith(b"\r\n0\r\n\r\n"):
        answer += sock.recv(65536)
    return answer


def register(at, files, name, until, queue) -> None:
    """Register again and again; put the number of registrations into the queue."""
    tls = context(*files)
    path = f"/{at['id_scope']}/registrations/{name}"
    version = "?api-version=2021-06-01"
    count = 0
    while time.monotonic() < until:
        with connect(tls, at["dps"]) as sock:
            answer = request(sock, "PUT", at["dps"], f"{path}/register{version}", b"{}")
            operation = re.search(rb'"operationId":"([^"]+)', answer)[1].decode()
            answer = request(sock, "GET", at["dps"], f"{path}/operations/{operation}{version}")
            if b'"status":"assigned"' not in answer:
                raise AssertionError(answer)
        count += 1
    queue.put(count)


def send(host, files, name, until, queue) -> None:
    """Send messages on kept-alive connections; put the number of accepted ones into the queue."""
    tls = context(*files)
    path = f"/devices/{name}/messages/events?api-version=2020-03-13"
    data = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    data += BODY
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(tls, host)) for _ in range(CONNECTIONS)]
        count = 0
        while time.monotonic() < until:
            for sock in socks:
                sock.sendall(data)
            for sock in socks:
                answer = sock.recv(65536)
                if not answer.startswith(b"HTTP/1.1 204"):
                    raise AssertionError(answer)
            count += len(socks)
    queue.put(count)


def rate(work, where, files, names) -> float:
    """Let all workers do this work → how often all of them did it, in a second."""
    queue: multiprocessing.Queue = multiprocessing.Queue()
    until = time.monotonic() + SECONDS
    workers = [
        multiprocessing.Process(target=work, args=(where, files[name], name, until, queue))
        for name in names
    ]
    for worker in workers:
        worker.start()
    total = sum(queue.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    return total / SECONDS


def handshakes(files, folder: Path) -> float:
    """The handshakes of `openssl s_server` in a second, with one `openssl s_time` per worker."""
    cert, key, root = files
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_2", "-quiet", "-no_ticket"]
        + ["-cert", cert, "-key", key, "-CAfile", root, "-Verify", "3", "-no_cache"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
        command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new"]
        command += ["-time", str(SECONDS), "-cert", cert, "-key", key, "-tls1_2"]
        clients = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(WORKERS)
        ]
        total = 0
        for client in clients:
            out, err = client.communicate(timeout=60)
            found = re.search(r"(\d+) connections in \d+ real seconds", out)
            if not found:
                raise RuntimeError(f"openssl s_time: {out}{err}")
            total += int(found[1])
        return total / (SECONDS + 1)  # s_time ends one second later
    finally:
        server.terminate()
        server.wait()


BARE = """
import sys
from pathlib import Path
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from microdps_tools.certs.reading import load_cert_and_key
from microdps_tools.simulator.tls import ServerTLS

class Bare(Resource):
    isLeaf = True

    def render_POST(self, request):
        request.setResponseCode(204)
        return b""

tls = ServerTLS(load_cert_and_key(*map(Path, sys.argv[1:])))
port = reactor.listenSSL(0, Site(Bare()), tls, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""


@contextlib.contextmanager
def bare(state: Path):
    """Start a resource that answers 204, behind the same TLS → its host."""
    pair = server_certificate(state, "localhost")
    folder = state / "bare"
    write_files(folder, encoding.pem_files("bare", pair))
    command = [sys.executable, "-c", BARE, folder / "bare.cert.pem", folder / "bare.key.pem"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"localhost:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def look_up(folder: Path, count: int) -> float:
    """Seconds for one look-up of an enrollment among that many."""
    with contextlib.closing(Store(folder / str(count))) as store:
        store.begin()
        for number in range(count):
            name = f"device-{number}"
            store.enrollments.put("individual", name, {"n": number}, [f"{number:064}"])
        store.commit()
        marks = [f"{number * 7919 % count:064}" for number in range(1000)]

        def look() -> None:
            for mark in marks:
                store.enrollments.get(*store.enrollments.with_certificate(mark))

        return min(timeit.repeat(look, number=1, repeat=5)) / len(marks)


def connected(at, files, pid: int) -> float:
    """Memory for each device while 1,000 devices are connected, in kB."""
    tls = context(*files)
    with connect(tls, at["hub"]):
        before = memory_kb(pid)
    with contextlib.ExitStack() as stack:
        for _ in range(DEVICES):
            stack.enter_context(connect(tls, at["hub"]))
        return (memory_kb(pid) - before) / DEVICES


def fastest(ours, floor) -> float:
    """Measure both in turn, because the machine may be busy → the ratio of their fastest runs."""
    pairs = [(ours(), floor()) for _ in range(RUNS)]
    return max(one for one, _ in pairs) / max(other for _, other in pairs)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        options = ("--retry-after=0", "--no-limits")
        with start_simulator(folder, *options) as at:
            running = enrolled(folder, at)
            names = [f"bench-{number}" for number in range(WORKERS)]
            files = {}
            for name in names:
                made = running.device(name).parent.parent
                files[name] = (made / "full-chain.pem", made / "key.pem", running.root)
            one = files[names[0]]
            ratio = fastest(
                lambda: rate(register, at, files, names), lambda: handshakes(one, folder)
            )
            print(f"registrations  {ratio:.2f} x the handshakes of openssl s_server")
            with bare(running.state) as host:
                ratio = fastest(
                    lambda: rate(send, at["hub"], files, names),
                    lambda: rate(send, host, files, names),
                )
            print(f"messages       {ratio:.2f} x a bare Twisted resource")
            print(
                f"memory         {connected(at, one, int(at['pid'])):.0f} kB per connected device"
            )
        few, many = (look_up(folder, count) for count in (10, 100_000))
        print(f"look-up        {many / few:.2f} x among 100,000 enrollments as among 10")


if __name__ == "__main__":
    main()
