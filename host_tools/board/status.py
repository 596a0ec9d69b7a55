"""Ask a board for its status, or make it forget its assignment.

The board is at a serial port, as mpremote names it; or it is a folder of this computer.
"""

import subprocess
import sys
from pathlib import Path

from .. import ToolError, interpreter
from .ports import port_advice

TIMEOUT_S = 60

# So that the interpreter finds the program in the folder.
FOLDER_ON_PATH = "import sys; sys.path.insert(0, '')\n"

# The program of an older version has the module elsewhere.
CODE = """\
try:
    from microdps.program import status
except ImportError:
    from microdps import status
status.{function}()
"""


def call_on_board(target: str, function: str) -> str:
    """Call a function of microdps.program.status on a board → its output. Raises ToolError."""
    code = CODE.format(function=function)
    if not Path(target).is_dir() and (advice := port_advice(target)):
        raise ToolError(f"cannot open {target}: {advice}")
    if Path(target).is_dir():
        command = [*interpreter.find().command, "-c", FOLDER_ON_PATH + code]
        folder: Path | None = Path(target)
    else:
        # resume: interrupt the board's program without a soft reset.
        command = [sys.executable, "-m", "mpremote", "connect", target, "resume", "exec", code]
        folder = None
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{target} does not answer: check the cable, and that no other program uses the port"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ToolError(
            f"{target} did not answer as a board with microdps does ({' '.join(reason)}): check"
            " the port, and that the program is on the board"
        )
    return done.stdout
