"""A virtual board as a separate process, the real mpremote, and devices' folders for them."""

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

from microdps_tools import CHECKOUT
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.program import install_program

START_S = 20
TIMEOUT_S = 60
SPREAD_S = 60  # after a power cut, a board waits up to this before it connects
AGAIN_S = 0.5
HUNG_S = 10

# `microdps virtual-board` without the imports of the other verbs, which take a while.
VERB = """
import argparse, functools
from microdps_tools.virtual_board.verbs import add_virtual_board_parser
top = argparse.ArgumentParser()
add_virtual_board_parser(functools.partial(top.add_subparsers().add_parser, "virtual-board"))
args = top.parse_args()
args.function(args)
"""


class VirtualBoard:
    """`microdps virtual-board` with a flash file.

    It runs from start() to stop() or kill(), or in a with statement.

    port  as mpremote takes it, while the board runs
    """

    def __init__(self, flash: Path, *options: str):
        self.flash = flash
        self._options = options
        self.process: subprocess.Popen | None = None

    def start(self) -> "VirtualBoard":
        self.process = subprocess.Popen(
            [sys.executable, "-c", VERB, "virtual-board", "--flash", self.flash, *self._options],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.match(r"ready port=(\S+) flash=", line)
        assert found, line
        self.port = found[1]
        return self

    def kill(self) -> None:
        """Cut the power."""
        self._end(self.process.kill)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self._end(self.process.terminate)
            assert self.process.returncode == 0

    def _end(self, end) -> None:
        end()
        self.process.wait(TIMEOUT_S)
        self.process.stdout.close()

    def __enter__(self) -> "VirtualBoard":
        return self.start()

    def __exit__(self, *error) -> None:
        self.stop()

    def mpremote(self, *arguments, code: int = 0) -> str:
        """Run the real mpremote → its output. Fails unless that is its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", self.port, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def copy(self, folder: Path, *names: str) -> None:
        """Copy files and folders to the board."""
        self.mpremote("cp", "-r", *(folder / name for name in names), ":")

    def until(self, text: str, reset: bool = False, within_s: float = SPREAD_S + TIMEOUT_S) -> str:
        """Listen to the port until that text → everything that came. reset: reset the board first.

        Do not reset a board that may be busy with TLS: the Unix port hangs for ever if it is
        interrupted in the middle of malloc().
        """
        deadline = time.monotonic() + within_s
        port = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        try:
            termios.tcflush(port, termios.TCIOFLUSH)
            seen = ""
            hung = time.monotonic() + HUNG_S
            while reset and "machine: reset" not in seen:
                assert time.monotonic() < deadline, f"no reset within {within_s} s: {seen}"
                if time.monotonic() > hung:  # the Unix port hangs
                    os.close(port)
                    self.kill()
                    self.start()
                    port = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
                    hung = time.monotonic() + HUNG_S
                # Bytes that come while a board restarts are lost.
                os.write(port, b"\r\x03\x02import machine; machine.reset()\r")
                seen = heard(port, "machine: reset", AGAIN_S)
            return listen(port, text, within_s, seen.rpartition("machine: reset")[2])
        finally:
            os.close(port)


def heard(port: int, text: str, within_s: float, seen: str = "") -> str:
    """Read from an open port until that text, or until the time is over → everything that came."""
    deadline = time.monotonic() + within_s
    while text not in seen:
        left = deadline - time.monotonic()
        if left < 0 or not select.select([port], [], [], left)[0]:
            break
        seen += os.read(port, 4096).decode(errors="replace")
    return seen


def listen(port: int, text: str, within_s: float = TIMEOUT_S, seen: str = "") -> str:
    """The same, and fails if the text does not come."""
    seen = heard(port, text, within_s, seen)
    assert text in seen
    return seen


def configure(folder: Path, simulator, name: str, **settings) -> Path:
    """A device's folder as `microdps config` makes it."""
    write_identity(folder, simulator.device(name).parent.parent, str(simulator.root))
    fixed = {
        "id_scope": simulator.id_scope,
        "registration_id": name,
        "host": simulator.dps,
        "interval_s": 0.05,
        "messages": 3,
        "wifi": {"ssid": "home", "password": "12345678"},
    }
    write_config(folder, fixed | settings)
    return folder


def device(folder: Path, simulator, name: str, **settings) -> Path:
    """The same, with the program in the folder."""
    configure(folder, simulator, name, **settings)
    install_program(folder)
    return folder
