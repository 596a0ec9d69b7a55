"""What the tests share: an interpreter to run the device on, a simulator, certificates."""

import contextlib
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

import peers
from host_tools import CHECKOUT, FIRMWARE, certs, config, demo, enroll, interpreter

PROGRAMS = CHECKOUT / "tests" / "programs"
TIMEOUT_S = 60


@pytest.fixture(params=["micropython", "cpython"])
def which(request) -> interpreter.Interpreter:
    """Both interpreters that the device's program runs on."""
    return getattr(interpreter, request.param)()


@pytest.fixture(scope="session")
def micropython() -> interpreter.Interpreter:
    return interpreter.micropython()


def interrupt(process: subprocess.Popen) -> None:
    """Press Ctrl-C while MicroPython waits. In the middle of its collector a signal would find the
    heap locked; a board's Ctrl-C comes between two instructions."""
    deadline = time.monotonic() + TIMEOUT_S
    waiting = 0
    while waiting < 5:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        waiting = waiting + 1 if state == "S" else 0
        assert time.monotonic() < deadline, "the program does not wait for anything"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)


@dataclass
class Result:
    """What a program printed, and what came first on its last lines."""

    lines: list[str]

    @property
    def error(self) -> list[str]:
        """Class, code and ms of the error line; fails if there is none."""
        (line,) = [line for line in self.lines if line.startswith("error ")]
        return line.split()[1:]

    @property
    def text(self) -> str:
        return self.lines[-1]


def run_program(which, name: str, *arguments, prefix: tuple[str, ...] = ()) -> Result:
    """Run one of tests/programs on an interpreter. Fails if it ends with anything but 0."""
    return _run([*prefix, *which.command, PROGRAMS / name, FIRMWARE, *map(str, arguments)])


def run_code(which, code: str) -> Result:
    """Run a piece of code on an interpreter. Fails if it ends with anything but 0."""
    path = f"import sys; sys.path.insert(0, {str(FIRMWARE)!r})\n"
    return _run([*which.command, "-c", path + code])


def _run(command: list) -> Result:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Result(done.stdout.splitlines())


@dataclass
class Simulator:
    """A running simulator with an enrollment group, and devices made on demand."""

    state: Path
    folder: Path
    dps: str
    hub: str
    page: str
    id_scope: str
    root: Path

    @property
    def service(self) -> enroll.Service:
        key = enroll.connection_string(self.state / "connection-string.key.txt")
        return enroll.Service(key, self.root)

    def admin(self, method: str, call: str, body: dict | None = None):
        """Make an admin call → its answer. Fails if it is refused."""
        answer = requests.request(method, f"{self.page}admin/{call}", json=body, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextlib.contextmanager
    def faults(self, *faults: str):
        """Have faults switched on for a while → a function that tells how often each struck."""
        for fault in faults:
            self.admin("POST", "faults", {"fault": fault})
        try:
            yield lambda: [one["times"] for one in self.admin("GET", "faults")]
        finally:
            self.admin("DELETE", "faults")

    def device(self, name: str, **issued) -> Path:
        """Identity folder of a device whose certificate the enrolled intermediate has signed."""
        device = certs.issue(name, self.intermediate, **issued)
        return self.lay(name, device, [self.intermediate.cert])

    def lay(self, name: str, pair: certs.Pair, issuers=(), roots: Path | None = None) -> Path:
        """Identity folder with these certificates; the simulator's root unless told otherwise."""
        made = self.folder / "devices" / name
        certs.write_new(made, certs.device_files(pair, list(issuers)), force=True)
        shutil.rmtree(made / "identity", ignore_errors=True)
        config.write_identity(made, made, str(roots or self.root))
        return made / "identity" / "a"

    @property
    def intermediate(self) -> certs.Pair:
        return certs.load_pair(
            self.folder / "certs" / "intermediate.cert.pem",
            self.folder / "certs" / "intermediate.key.pem",
        )

    def provision(self, which, identity: Path, name: str, messages: int = 1, **given) -> Result:
        """Run the device on an interpreter against this simulator."""
        return run_program(
            which,
            "provision.py",
            identity,
            given.get("id_scope", self.id_scope),
            name,
            given.get("host", self.dps),
            given.get("timeout_ms", 10_000),
            messages,
            given.get("transport", "auto"),
            prefix=given.get("prefix", ()),
        )


def start_simulator(folder: Path, *options: str):
    """Context manager: a simulator in a folder, an intermediate enrolled as a group."""
    certs.chain("unused", folder / "certs", "ec-p256", 30, force=False)
    return demo.simulator(folder / "state", "--assign-after", "0", "--retry-after", "1", *options)


def enrolled(folder: Path, at: dict[str, str]) -> Simulator:
    running = Simulator(
        folder / "state",
        folder,
        at["dps"],
        at["hub"],
        at["page"],
        at["id_scope"],
        Path(at["root"]),
    )
    enroll.group(running.service, "group-01", folder / "certs" / "intermediate.cert.pem")
    return running


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulator")
    with start_simulator(folder) as at:
        yield enrolled(folder, at)


@pytest.fixture(scope="session")
def late_simulator(tmp_path_factory):
    """One whose hub asks for the certificate after the first request."""
    folder = tmp_path_factory.mktemp("late-simulator")
    with start_simulator(folder, "--hub-certificate", "renegotiate") as at:
        yield enrolled(folder, at)


@pytest.fixture
def peer(simulator, tmp_path, request, which):
    """Make a server from what it does with a connection, and an identity that trusts it."""
    root = certs.issue("peer root", ca=True)
    name = f"link-{abs(hash(request.node.name)) % 10**9}"
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(certs.der(root.cert))
    context = peers.server_context(tmp_path, root)
    peers.require_client(context, simulator.intermediate)

    def serve(handle):
        return peers.listening(peers.tls(context, handle))

    serve.identity = identity
    return serve
