"""A device's folder in which main.py runs as on a board's file system."""

import json
import os
import shutil
import subprocess

from microdps_tools import CHECKOUT, interpreter
from microdps_tools.certs.making import CertAndKey
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.program import install_program

FAKE_MODULES = CHECKOUT / "host_tools" / "virtual_board" / "fake_modules"
HEAP = "192k"  # larger than usual, because the interpreter compiles main.py and app.py


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
            wifi={"ssid": "home", "password": "x"},
        )
        install_program(folder)

    def configure(self, **changes):
        write_config(self.folder, changes)

    def start(self):
        return subprocess.Popen(
            [*interpreter.micropython(HEAP).command, "main.py"],
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{FAKE_MODULES}:.frozen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def boot(self) -> str:
        """Run the program to its end → its output."""
        with self.start() as process:
            return process.communicate(timeout=60)[0]

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
