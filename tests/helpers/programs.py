"""Run the programs of tests/programs, or pieces of code, on an interpreter."""

import subprocess
from dataclasses import dataclass

from microdps_tools import CHECKOUT, FIRMWARE

PROGRAMS = CHECKOUT / "tests" / "programs"
TIMEOUT_S = 60


@dataclass
class Result:
    """The output of a program. An error has a line "error CLASS CODE MS"."""

    lines: list[str]

    @property
    def error(self) -> list[str]:
        """Class, code and ms of the only error line. Fails if there is none."""
        (line,) = [line for line in self.lines if line.startswith("error ")]
        return line.split()[1:]

    @property
    def text(self) -> str:
        return self.lines[-1]


def run_program(which, name: str, *arguments, prefix: tuple[str, ...] = ()) -> Result:
    """Run one of tests/programs on an interpreter. Fails unless its exit code is 0."""
    return _run([*prefix, *which.command, PROGRAMS / name, FIRMWARE, *map(str, arguments)])


def run_code(which, code: str) -> Result:
    """Run a piece of code on an interpreter. Fails unless its exit code is 0."""
    path = f"import sys; sys.path.insert(0, {str(FIRMWARE)!r})\n"
    return _run([*which.command, "-c", path + code])


def _run(command: list) -> Result:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Result(done.stdout.splitlines())
