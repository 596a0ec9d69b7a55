"""A device's folder in which main.py runs as on a board's file system."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from microdps_tools import CHECKOUT, interpreter
from microdps_tools.certs.making import CertAndKey
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.program import install_program

FAKE_MODULES = CHECKOUT / "host_tools" / "virtual_board" / "fake_modules"
HEAP = "192k"  # larger than usual, because the interpreter compiles main.py and app.py
TIMEOUT_S = 60


def interrupt(process: subprocess.Popen) -> None:
    """Press Ctrl-C while MicroPython waits. In the middle of its collector, a signal would find
    the heap locked; on a board, Ctrl-C comes between two instructions."""
    deadline = time.monotonic() + TIMEOUT_S
    waiting = 0
    while waiting < 5:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        waiting = waiting + 1 if state == "S" else 0
        assert time.monotonic() < deadline, "the program does not wait for anything"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)


class BoardFolder:
    """A device's folder, the file system of main.py. The fake modules are on its path."""

    def __init__(self, simulator, folder, name):
        self.folder = folder
        self.simulator = simulator
        self.name = name
        identity = simulator.device(name).parent.parent
        write_identity(folder, identity, str(simulator.root))
        self.configure(
            id_scope=simulator.id_scope,
            registration_id=name,
            host=simulator.dps,
            interval_s=0.05,
            messages=3,
            wifi={"ssid": "home", "password": "12345678"},
        )
        install_program(folder)

    def configure(self, **changes):
        write_config(self.folder, changes)

    def start(self, **environment):
        return subprocess.Popen(
            [*interpreter.micropython(HEAP).command, "main.py"],
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{FAKE_MODULES}:.frozen", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def boot(self, **environment) -> str:
        """Run the program to its end → its output."""
        with self.start(**environment) as process:
            return process.communicate(timeout=TIMEOUT_S)[0]

    def until(self, text: str) -> str:
        """Run until a line has a text, then press Ctrl-C → the output up to that line."""
        with self.start() as process:
            seen = ""
            for line in process.stdout:
                seen += line
                if text in line:
                    break
            else:
                raise AssertionError(seen)
            interrupt(process)
            rest = process.communicate(timeout=TIMEOUT_S)[0]
            assert "stopped\n" in rest, rest
        return seen

    def requests(self) -> list[str]:
        """The methods of all requests of this board."""
        return [request["method"] for request in self.simulator.requests(f"/{self.name}/")]

    def errors(self) -> list[dict]:
        return json.loads((self.folder / "errors.json").read_text())

    def write_slot_b(self, pair: CertAndKey, issuers=()):
        """Write an identity into slot b."""
        made = self.simulator.write_identity(f"{self.name}-b", pair, issuers)
        shutil.copytree(made, self.folder / "identity" / "b")

    def state(self) -> dict:
        return json.loads((self.folder / "state.json").read_text().split(" ", 1)[1])


def board_for(request, simulator, tmp_path) -> BoardFolder:
    """A board's folder for a test, with a registration ID made of the test's name."""
    name = request.node.name.removeprefix("test_")[:50].strip("_").replace("_", "-")
    return BoardFolder(simulator, tmp_path / "board", name)
