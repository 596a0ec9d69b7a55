"""microdps run: run the device's program on this machine, from a device's folder."""

import argparse
import shutil
import subprocess
from pathlib import Path

from host_tools import FIRMWARE, ToolError, interpreter

# The user's own: laid once, never overwritten.
OWN = "app.py"
PROGRAM = ("boot.py", "main.py", "microdps")


def lay(folder: Path) -> None:
    """Copy the program into a device's folder, as it would lie on the board; app.py if missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PROGRAM:
            source = FIRMWARE / name
            if source.is_dir():
                shutil.rmtree(folder / name, ignore_errors=True)
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / name, ignore=ignore)
            else:
                shutil.copyfile(source, folder / name)
        if not (folder / OWN).exists():
            shutil.copyfile(FIRMWARE / OWN, folder / OWN)
    except OSError as error:
        raise ToolError(f"cannot lay the program in {folder}: {error}") from error


def run(folder: Path, which: interpreter.Interpreter) -> int:
    """Run main.py in a device's folder, its output passed on → exit code."""
    if not (folder / "config.json").exists():
        raise ToolError(f"{folder} has no config.json: write it with 'microdps config'")
    lay(folder)
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
