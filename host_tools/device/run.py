"""Run the device's program on this computer, from a device's folder."""

import subprocess
from pathlib import Path

from .. import ToolError, interpreter
from .program import install_program


def run(folder: Path, which: interpreter.Interpreter) -> int:
    """Run main.py in a device's folder, and pass on its output → exit code. Raises ToolError."""
    if not (folder / "config.json").exists():
        raise ToolError(f"{folder} has no config.json: write it with 'microdps config'")
    install_program(folder, sources=which.name == interpreter.cpython().name)
    print(f"{which.name} runs main.py in {folder}", flush=True)
    process = subprocess.Popen([*which.command, "main.py"], cwd=folder)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal has sent Ctrl-C to the device as well, and the device stops by itself.
        return process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
