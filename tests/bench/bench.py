"""make bench: what the device costs, measured on the real MicroPython against a scripted peer.

Register, two polls and 100 messages over mutual TLS (EC P-256 both ways), the package as .mpy.
Counts and ratios only: the machine may be a noisy one.
"""

import json
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import peers
from bench import mpy
from host_tools import CHECKOUT, certs, config, interpreter

MESSAGES = 100
PROGRAM = CHECKOUT / "tests" / "bench" / "device.py"

# The largest heap that the search for the smallest starts from, and its step, in KiB.
ROOMY = 128
STEP = 1


def answer(status: str, body: dict | None = None, fields: str = "") -> bytes:
    """A response as the how-to shows them: chunked for DPS, empty for the hub."""
    if body is None:
        return (
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n"
            "Server: Microsoft-HTTPAPI/2.0\r\n"
            "x-ms-request-id: aa58c075-20d9-4565-8058-de6dc8524f14\r\n"
            "Date: Wed, 31 Aug 2022 18:34:44 GMT\r\n\r\n"
        ).encode("ascii")
    text = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status}\r\nDate: Sat, 27 Aug 2022 17:53:18 GMT\r\n"
        "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
        f"{fields}x-ms-request-id: 05cdec07-c0c7-48f3-b3cd-30cfe27cbe57\r\n"
        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n"
    )
    return head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text)


class Dps:
    """DPS's answers: accepted, still assigning at the first poll, assigned at the second."""

    def __init__(self, hub_port: int):
        self.hub_port = hub_port
        self.requests = 0

    def respond(self, head: bytes) -> bytes:
        self.requests += 1
        state: dict = {"operationId": "5.506603669bd3e2bf.b3602f8f", "status": "assigning"}
        if self.requests < 3:
            return answer("202 Accepted", state, "Retry-After: 1\r\n")
        registration = {
            "x509": {},
            "registrationId": "device-01",
            "createdDateTimeUtc": "2022-08-27T17:53:19.5143497Z",
            "assignedHub": f"localhost:{self.hub_port}",
            "deviceId": "device-01",
            "status": "assigned",
            "substatus": "initialAssignment",
            "lastUpdatedDateTimeUtc": "2022-08-27T17:53:19.7519141Z",
            "etag": "IjEyMDA4NmYyLTAwMDAtMDMwMC0wMDAwLTYzMGE1YTBmMDAwMCI=",
        }
        return answer("200 OK", state | {"status": "assigned", "registrationState": registration})


class Counter:
    """Counts on one port what a relay in front of TLS sees: connections, bytes, records."""

    def __init__(self):
        self.connections = 0
        self.sent = 0
        self.received = 0
        self.records = 0
        self.requests = 0
        self.pending = b""
        self.lock = threading.Lock()

    def count_records(self, data: bytes) -> None:
        """Count the application data records that begin in what the device sent."""
        self.pending += data
        while len(self.pending) >= 5:
            length = 5 + int.from_bytes(self.pending[3:5], "big")
            if len(self.pending) < length:
                return
            self.records += self.pending[0] == 23
            self.pending = self.pending[length:]

    def handle(self, connection, context, respond) -> None:
        """Serve one connection: TLS in memory, so that every byte on the wire is counted."""
        with self.lock:
            self.connections += 1
        self.pending = b""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        data = b""
        shaken = False
        while True:
            try:
                if not shaken:
                    tls.do_handshake()
                    shaken = True
                while True:
                    data += tls.read(65536)
                    head, end, body = data.partition(b"\r\n\r\n")
                    if end and len(body) >= content_length(head):
                        data = body[content_length(head) :]
                        self.requests += 1
                        tls.write(respond(head))
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return
            reply = outgoing.read()
            if reply:
                self.received += len(reply)
                connection.sendall(reply)
            raw = connection.recv(65536)
            if not raw:
                return
            self.sent += len(raw)
            self.count_records(raw)
            incoming.write(raw)


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


class Bench:
    """DPS on one port, a hub on another, and a device's identity to talk to them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = certs.issue("bench root", ca=True)
        self.context = peers.server_context(folder, self.root)
        peers.require_client(self.context, self.root)
        device = certs.issue("device-01", self.root)
        files = certs.device_files(device, [])
        certs.write_new(folder / "device", files)
        certs.write_new(folder, {"root.pem": certs.pem(self.root.cert)})
        config.write_identity(folder, folder / "device", str(folder / "root.pem"))
        mpy.compile_to(folder / "program")

    def run(self, heap: int = ROOMY, messages: int = MESSAGES, mode: str = "plain"):
        """Run the device once → what it printed (None if it failed), counts of DPS and hub."""
        dps, hub = Counter(), Counter()

        def serve_hub(connection):
            hub.handle(connection, self.context, lambda head: answer("204"))

        def serve_dps(connection):
            dps.handle(connection, self.context, Dps(hub_port).respond)

        with peers.listening(serve_hub) as hub_port, peers.listening(serve_dps) as port:
            done = subprocess.run(
                [
                    *interpreter.micropython(f"{heap}k").command,
                    PROGRAM,
                    self.folder / "program",
                    self.folder / "identity" / "a",
                    f"localhost:{port}",
                    str(messages),
                    mode,
                ],
                capture_output=True,
                text=True,
                timeout=120,
            )
        if done.returncode:
            return None, dps, hub
        pairs = (line.split() for line in done.stdout.splitlines())
        return {name: int(value) for name, value in pairs}, dps, hub

    def smallest_heap(self) -> int:
        """The smallest -X heapsize, in KiB, in which the whole flow completes."""
        low, high = 8, ROOMY
        while high - low > STEP:
            middle = (low + high) // 2
            if self.run(middle, 12)[0] is None:
                low = middle
            else:
                high = middle
        return high


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary))
        plain, dps, hub = bench.run()
        assert plain is not None
        heap, _, _ = bench.run(mode="heap")
        assert heap is not None
        figures = {
            "connections, each with one handshake": dps.connections + hub.connections,
            "requests": dps.requests + hub.requests,
            "TLS records of the device with data": dps.records + hub.records,
            "bytes to DPS": dps.sent,
            "bytes from DPS": dps.received,
            "bytes to the hub": hub.sent,
            "bytes from the hub": hub.received,
            "heap allocated for a message, bytes": plain["allocated"],
            "live heap after 10 messages, bytes": plain["live_after_10"],
            f"live heap after {MESSAGES} messages, bytes": plain["live_at_end"],
            "peak of the live heap, bytes": heap["live_peak"],
            "smallest -X heapsize, KiB": bench.smallest_heap(),
        }
    print(f"register, two polls, {MESSAGES} messages; 64-bit Unix port, .mpy -O2, TLS 1.2, P-256")
    for name, value in figures.items():
        print(f"  {value:>8,}  {name}")


if __name__ == "__main__":
    main()
