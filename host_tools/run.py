"""microdps run: run the device's program on this machine, from a device's folder."""

import argparse
import shutil
import subprocess
from pathlib import Path

from host_tools import FIRMWARE, ToolError, deploy, interpreter

# The user's own: laid once, never overwritten.
OWN = "app.py"
FILES = ("boot.py", "main.py")
PROGRAM = (*FILES, "microdps")


def lay(folder: Path, sources: bool = False) -> None:
    """Put the program into a device's folder, as it would lie on a board; app.py if it is missing.

    sources  as they are, for CPython; MicroPython gets .mpy, which take less of its heap
    """
    package = folder / "microdps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(FIRMWARE / name, folder / name)
        shutil.rmtree(package, ignore_errors=True)
        if sources:
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(FIRMWARE / package.name, package, ignore=ignore)
        else:
            package.mkdir()
            for name, content in deploy.program().items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        if not (folder / OWN).exists():
            shutil.copyfile(FIRMWARE / OWN, folder / OWN)
    except OSError as error:
        raise ToolError(f"cannot lay the program in {folder}: {error}") from error


def run(folder: Path, which: interpreter.Interpreter) -> int:
    """Run main.py in a device's folder, its output passed on → exit code."""
    if not (folder / "config.json").exists():
        raise ToolError(f"{folder} has no config.json: write it with 'microdps config'")
    lay(folder, sources=which.name == interpreter.cpython().name)
    print(f"{which.name} runs main.py in {folder}", flush=True)
    process = subprocess.Popen([*which.command, "main.py"], cwd=folder)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has sent it to the device as well, which stops cleanly.
        return process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "run",
        help="run the device's program on this machine",
        description="Run the device's program on this machine, on the real MicroPython.",
        epilog="example: microdps run device",
    )
    verb.add_argument("folder", type=Path, help="device's folder, as 'microdps config' makes it")
    verb.add_argument(
        "--interpreter",
        choices=("micropython", "cpython"),
        help="(micropython; cpython where PyPI has none for this platform)",
    )
    verb.add_argument("--heap", help=f"heap of MicroPython ({interpreter.HEAP})")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> int:
    if args.interpreter == "cpython":
        which = interpreter.cpython()
    elif args.interpreter or args.heap:
        which = interpreter.micropython(args.heap or interpreter.HEAP)
    else:
        which = interpreter.find()
    return run(args.folder, which)
