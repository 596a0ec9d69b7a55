"""Start the simulator as a separate process, for the demo and the tests."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .. import CHECKOUT, ToolError

START_S = 30
READY = re.compile(
    r"ready dps=https://(?P<dps>\S+) hub=https://(?P<hub>\S+)( hub=\S+)* page=(?P<page>\S+)"
    r"( dps_mqtt=(?P<dps_mqtt>\S+))?( keep=\S+)? id_scope=(?P<id_scope>\S+) root=(?P<root>.+)"
)


@contextlib.contextmanager
def running_simulator(state: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run the simulator on free ports → the values of its ready line, its process ID, "pid", and
    the host of DPS over MQTT, "dps_mqtt".

    At the end, the process is ended by its ID. Raises ToolError if it does not start.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # the log contains the key
    log = state / "simulator.log"
    command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", str(state)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--dps-port=0", "--hub-port=0", "--page-port=0", *options],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait_until_ready(process, log) | {"pid": str(process.pid)}
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        text = log.read_text()
        found = READY.search(text)
        if found:
            return {name: value or "" for name, value in found.groupdict().items()}
        if process.poll() is not None:
            raise ToolError(f"the simulator did not start: {text.strip()}")
        time.sleep(0.02)
    raise ToolError(f"the simulator was not ready within {START_S} s: {log.read_text().strip()}")
