"""Run the device's program on this computer, from a device's folder."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .. import ToolError, interpreter
from .program import app_differs, install_program

# Seconds until a program that failed is started again, as a board starts again.
AGAIN_S = 5


def run(
    folder: Path,
    which: interpreter.Interpreter,
    app: bool = False,
    keep_going: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> int:
    """Run main.py in a device's folder, and pass on its output → exit code.

    app         replace app.py in the folder by firmware/app.py
    keep_going  start the program again after a failure, as a board does
    note        takes a line about what a board would do

    Raises ToolError, and KeyboardInterrupt when the device has ended after Ctrl-C.
    """
    if not (folder / "config.json").exists():
        raise ToolError(f"{folder} has no config.json: write it with 'microdps config'")
    install_program(folder, sources=which.name == interpreter.cpython().name, app=app)
    if not app and app_differs(folder):
        note(f"app.py in {folder} differs from firmware/app.py: --app replaces it")
    print(f"{which.name} runs main.py in {folder}", flush=True)
    while True:
        code = _run_once(folder, which)
        if code == 0:
            return code
        if not keep_going:
            note("a board goes on here, and tries again: so does --keep-going")
            return code
        note(f"started again in {AGAIN_S} s, as a board goes on; Ctrl-C ends it")
        time.sleep(AGAIN_S)


def _run_once(folder: Path, which: interpreter.Interpreter) -> int:
    process = subprocess.Popen([*which.command, "main.py"], cwd=folder)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has sent Ctrl-C to the device as well, and the device stops by itself.
        process.wait()
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
