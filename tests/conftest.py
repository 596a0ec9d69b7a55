"""What the tests share: an interpreter to run the device on, a simulator, certificates."""

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from helpers import peers
from microdps_tools import CHECKOUT, FIRMWARE, interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files, make_chain
from microdps_tools.certs.making import CertAndKey, issue
from microdps_tools.certs.reading import load_cert_and_key
from microdps_tools.device.config import write_identity
from microdps_tools.enroll import connection_string
from microdps_tools.enroll.enrollment import enroll_group
from microdps_tools.enroll.service_api import ServiceApi
from microdps_tools.files import write_files
from microdps_tools.simulator.process import running_simulator

PROGRAMS = CHECKOUT / "tests" / "programs"
TIMEOUT_S = 60


@pytest.fixture(params=["micropython", "cpython"])
def which(request) -> interpreter.Interpreter:
    """Both interpreters that the device's program runs on."""
    return getattr(interpreter, request.param)()


@pytest.fixture(scope="session")
def micropython() -> interpreter.Interpreter:
    return interpreter.micropython()


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
    def service(self) -> ServiceApi:
        key = connection_string.read(self.state / "connection-string.key.txt")
        return ServiceApi(key, self.root)

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
        device = issue(name, self.intermediate, **issued)
        return self.lay(name, device, [self.intermediate.cert])

    def lay(self, name: str, pair: CertAndKey, issuers=(), roots: Path | None = None) -> Path:
        """Identity folder with these certificates; the simulator's root unless told otherwise."""
        made = self.folder / "devices" / name
        write_files(made, device_files(pair, list(issuers)), force=True)
        shutil.rmtree(made / "identity", ignore_errors=True)
        write_identity(made, made, str(roots or self.root))
        return made / "identity" / "a"

    @property
    def intermediate(self) -> CertAndKey:
        return load_cert_and_key(
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
    make_chain("unused", folder / "certs", "ec-p256", 30, force=False)
    return running_simulator(
        folder / "state", "--assign-after", "0", "--retry-after", "1", *options
    )


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
    enroll_group(running.service, "group-01", folder / "certs" / "intermediate.cert.pem")
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
    root = issue("peer root", ca=True)
    name = f"link-{abs(hash(request.node.name)) % 10**9}"
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(encoding.der(root.cert))
    context = peers.server_context(tmp_path, root)
    peers.require_client(context, simulator.intermediate)

    def serve(handle):
        return peers.listening(peers.tls(context, handle))

    serve.identity = identity
    return serve
