"""make bench: what the device costs, beside the floor and other clients, on the real MicroPython.

Register, two polls and 100 messages over mutual TLS (EC P-256 both ways) with a scripted peer, all
as .mpy. Counts and ratios only: the machine may be a noisy one. Instructions are counted over TCP
without TLS by valgrind's callgrind; without valgrind that column says so.
"""

import json
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bench import mpy
from helpers import peers
from microdps_tools import CHECKOUT, interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.device.config import write_identity
from microdps_tools.files import write_files
from microdps_tools.simulator.hub import mqtt_packets

MESSAGES = 100
PROGRAMS = CHECKOUT / "tests" / "bench" / "clients"
CLIENTS = ("raw", "mini", "microdps", "mqtt", "requests")

# The largest heap that the search for the smallest starts from, and its step, in KiB.
ROOMY = 160
STEP = 1

# Wall time is compared over so many messages, the fastest of so many runs.
LONG = 2000
RUNS = 2


def answer(status: str, body: dict | None = None, fields: str = "", chunked=True) -> bytes:
    """A response as the how-to shows them: chunked for DPS, empty for the hub."""
    if body is None:
        return (
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n"
            "Server: Microsoft-HTTPAPI/2.0\r\n"
            "x-ms-request-id: aa58c075-20d9-4565-8058-de6dc8524f14\r\n"
            "Date: Wed, 31 Aug 2022 18:34:44 GMT\r\n\r\n"
        ).encode("ascii")
    text = json.dumps(body, separators=(",", ":")).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(text)}"
    head = (
        f"HTTP/1.1 {status}\r\nDate: Sat, 27 Aug 2022 17:53:18 GMT\r\n"
        f"Content-Type: application/json; charset=utf-8\r\n{framing}\r\n"
        f"{fields}x-ms-request-id: 05cdec07-c0c7-48f3-b3cd-30cfe27cbe57\r\n"
        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n"
    )
    return head.encode() + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text) if chunked else text)


class Dps:
    """DPS's answers: accepted, still assigning at the polls but the last, assigned at that."""

    def __init__(self, polls: int = 2, chunked: bool = True):
        self.polls = polls
        self.chunked = chunked
        self.hub_port = 0
        self.left = polls

    def respond(self, head: bytes) -> bytes:
        self.left = self.polls if head.startswith(b"PUT") else self.left - 1
        state: dict = {"operationId": "5.506603669bd3e2bf.b3602f8f", "status": "assigning"}
        if self.left:
            return answer("202 Accepted", state, "Retry-After: 1\r\n", self.chunked)
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
        state |= {"status": "assigned", "registrationState": registration}
        return answer("200 OK", state, chunked=self.chunked)


class Hub:
    """Accepts each message."""

    def respond(self, head: bytes) -> bytes | None:
        return answer("204")


class TroubledHub:
    """Accepts twelve messages. Then it is busy, redirects, refuses (the device registers anew),
    answers no HTTP, and breaks off without an answer (None)."""

    def __init__(self):
        error = {"errorCode": 401003, "trackingId": "t-1", "message": "IotHubUnauthorized"}
        location = "Location: /elsewhere\r\n"
        self.answers = [answer("204")] * 12 + [
            answer("503 Busy", {"message": "later"}, "Retry-After: 1\r\n"),
            answer("307 Temporary Redirect", {}, location),
            answer("401 Unauthorized", error),
            b"no HTTP\r\n",
            None,
        ]

    def respond(self, head: bytes) -> bytes | None:
        return self.answers.pop(0) if self.answers else answer("204")


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

    def handle(self, connection, context, take) -> None:
        """Serve one connection: TLS in memory, so that every byte on the wire is counted. Without
        a context, plain TCP."""
        with self.lock:
            self.connections += 1
        self.pending = b""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True) if context else None
        data = b""
        shaken = last = False
        while True:
            try:
                if tls and not shaken:
                    tls.do_handshake()
                    shaken = True
                while True:
                    data += (tls or incoming).read(65536)
                    while found := take(data):
                        reply, data, last = found
                        self.requests += 1
                        if reply is None:
                            return
                        (tls or outgoing).write(reply)
                    if not tls and not incoming.pending:
                        break
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return
            reply = outgoing.read()
            if reply:
                self.received += len(reply)
                connection.sendall(reply)
            if last:
                return
            raw = connection.recv(65536)
            if not raw:
                return
            self.sent += len(raw)
            self.count_records(raw)
            incoming.write(raw)


def http(respond):
    """What Counter.handle asks: the answer to the first request, None for a close; what follows
    it; is it the connection's last? None if the request is not whole."""

    def take(data: bytes):
        head, end, body = data.partition(b"\r\n\r\n")
        if not end or len(body) < content_length(head):
            return None
        return respond(head), body[content_length(head) :], b"HTTP/1.0" in head

    return take


def take_mqtt(data: bytes):
    """The same for MQTT."""
    found = mqtt_packets.split(data)
    if not found:
        return None
    kind, _, body, rest = found
    if kind == mqtt_packets.Kind.CONNECT:
        return mqtt_packets.packet(mqtt_packets.Kind.CONNACK, b"\0\0"), rest, False
    topic = int.from_bytes(body[:2])
    return mqtt_packets.packet(mqtt_packets.Kind.PUBACK, body[2 + topic : 4 + topic]), rest, False


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


class Bench:
    """DPS on one port, a hub on another, and a device's identity to talk to them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = issue("bench root", ca=True)
        self.context = peers.server_context(folder, self.root)
        peers.require_client(self.context, self.root)
        device = issue("device-01", self.root)
        files = device_files(device, [])
        write_files(folder / "device", files)
        write_files(folder, {"root.pem": encoding.pem(self.root.cert)})
        write_identity(folder, folder / "device", str(folder / "root.pem"))
        mpy.compile_to(folder / "program")
        for path in PROGRAMS.glob("*.py"):
            mpy.compile(path, folder / "program" / f"{path.stem}.mpy")

    def command(self, client: str, port: int, heap: int, messages: int, plain: bool) -> list:
        return [
            *interpreter.micropython(f"{heap}k").command,
            "-c",
            "import sys; sys.path[:] = [sys.argv[1], '.frozen']; import bench_flow; "
            "bench_flow.main(*sys.argv[2:])",
            self.folder / "program",
            self.folder / "identity" / "a",
            f"localhost:{port}",
            client,
            str(messages),
            "plain" if plain else "tls",
        ]

    def run(
        self,
        client="microdps",
        messages: int = MESSAGES,
        heap: int = ROOMY,
        plain=False,
        before=(),
    ):
        """Run a client once → Run. Raises CalledProcessError if it fails."""
        dps, hub = Counter(), Counter()
        context = None if plain else self.context
        script = Dps(chunked=client != "requests")  # which knows no chunks
        answers = TroubledHub() if client == "life" else Hub()

        def serve_hub(connection):
            hub.handle(
                connection, context, take_mqtt if client == "mqtt" else http(answers.respond)
            )

        def serve_dps(connection):
            dps.handle(connection, context, http(script.respond))

        with peers.listening(serve_hub) as hub_port, peers.listening(serve_dps) as port:
            # The device's MQTT goes to the port after the assigned one.
            script.hub_port = hub_port - (client == "mqtt")
            done = subprocess.run(
                [*before, *self.command(client, port, heap, messages, plain)],
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            )
        pairs = (line.split() for line in done.stdout.splitlines())
        return Run(dps, hub, {name: int(value) for name, value in pairs})

    def smallest_heap(self, client: str) -> int:
        """The smallest -X heapsize, in KiB, in which the whole flow completes."""
        low, high = 8, ROOMY
        while high - low > STEP:
            middle = (low + high) // 2
            try:
                self.run(client, 24, middle)
                high = middle
            except subprocess.CalledProcessError:
                low = middle
        return high

    def instructions(self, client: str) -> int | None:
        """Instructions that one more message takes over plain TCP; None without valgrind."""
        valgrind = shutil.which("valgrind")
        if not valgrind:
            return None
        totals = []
        for messages in (20, 20 + MESSAGES):
            out = self.folder / "callgrind.out"
            before = (valgrind, "--tool=callgrind", f"--callgrind-out-file={out}")
            self.run(client, messages, plain=True, before=before)
            totals.append(int(re.search(r"^summary: (\d+)", out.read_text(), re.M)[1]))
        return (totals[1] - totals[0]) // MESSAGES

    def fastest_ms(self, client: str) -> float:
        """Milliseconds a message, in the fastest run."""
        # A client that makes a handshake a message shows in fewer what it takes.
        messages = LONG // 10 if client == "requests" else LONG
        return min(self.run(client, messages).printed["ms"] for _ in range(RUNS)) / (messages - 11)


@dataclass
class Run:
    """What a run took: the counts of DPS and the hub, and what the program printed."""

    dps: Counter
    hub: Counter
    printed: dict[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(c.sent + c.received for c in (self.dps, self.hub))


def rows(bench: Bench):
    """A row of figures for each client: a name, then each column's text."""
    floor = bench.run("raw")
    floor_ms = bench.fastest_ms("raw")
    for client in CLIENTS:
        run = bench.run(client)
        grown = bench.run(client, 1000).printed
        instructions = bench.instructions(client)
        yield (
            client,
            f"{run.dps.connections + run.hub.connections}",
            f"{run.dps.requests + run.hub.requests}",
            f"{run.dps.records + run.hub.records}",
            f"{run.bytes / floor.bytes:.3f}",
            f"{bench.fastest_ms(client) / floor_ms:.2f}",
            f"{run.printed['allocated']:,}",
            f"{grown['live_at_end'] - grown['live_after_10']:+,}",
            f"{bench.smallest_heap(client)} K",
            f"{instructions:,}" if instructions else "no valgrind",
        )


COLUMNS = (
    "client",
    "handshakes",
    "requests",
    "records sent",
    "bytes/raw",
    "time/raw",
    "allocated",
    "live 10→1000",
    "least heap",
    "instructions",
)


def main() -> None:
    print(f"register, two polls, {MESSAGES} messages; 64-bit Unix port, .mpy -O2, TLS 1.2, P-256")
    print("".join(name.rjust(14) for name in COLUMNS))
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(Path(temporary))
        for row in rows(bench):
            print("".join(text.rjust(14) for text in row), flush=True)
        print("the hub busy, redirecting, refusing, no HTTP, gone, and a second registration:")
        print(f"{bench.smallest_heap('life')} K of heap")


if __name__ == "__main__":
    main()
