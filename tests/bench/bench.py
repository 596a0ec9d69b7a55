"""make bench: the costs of the device and of other clients, on the real MicroPython.

Each client registers, polls twice and sends 100 messages, over mutual TLS (EC P-256 on both sides)
with a scripted server, as .mpy. "raw" is the floor: it only writes fixed bytes. There are only
counts and ratios, because the machine may be busy. valgrind's callgrind counts the instructions,
over TCP without TLS.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bench import mpy
from bench.scripted_services import Counter, Dps, Hub, TroubledHub, http, take_mqtt
from helpers import peers
from microdps_tools import CHECKOUT, interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.device.config import write_identity
from microdps_tools.files import write_files

MESSAGES = 100
PROGRAMS = CHECKOUT / "tests" / "bench" / "clients"
CLIENTS = ("raw", "mini", "microdps", "mqtt", "requests")

# The search for the smallest heap starts at this size, and has this step, in KiB.
ROOMY = 160
STEP = 1

# The time of the fastest run counts: this many messages, this many runs.
LONG = 2000
RUNS = 2


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
        script = Dps(chunked=client != "requests")  # requests cannot read chunks
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
        """The smallest -X heapsize, in KiB, with which the client completes."""
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
        """Instructions for each further message over plain TCP; None without valgrind."""
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
        """Milliseconds for each message, in the fastest run."""
        # requests makes a handshake for each message, so fewer messages are enough.
        messages = LONG // 10 if client == "requests" else LONG
        return min(self.run(client, messages).printed["ms"] for _ in range(RUNS)) / (messages - 11)


@dataclass
class Run:
    """The result of a run: the counts of DPS and the hub, and the program's own figures."""

    dps: Counter
    hub: Counter
    printed: dict[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(c.sent + c.received for c in (self.dps, self.hub))


def rows(bench: Bench):
    """A row of texts for each client, as in COLUMNS."""
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
        print("hub busy, redirects, refuses, sends no HTTP, closes; with a second registration:")
        print(f"{bench.smallest_heap('life')} K of heap")


if __name__ == "__main__":
    main()
