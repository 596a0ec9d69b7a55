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


RESTART = "import machine; machine.reset()"


def call_on_board(target: str, function: str, restart: bool = True) -> str:
    """Call a function of microdps.program.status on a board → its output. Raises ToolError.

    restart  start the board again afterwards, so that its program goes on
    """
    code = CODE.format(function=function)
    if not Path(target).is_dir() and (advice := port_advice(target)):
        raise ToolError(f"cannot open {target}: {advice}")
    if Path(target).is_dir():
        command = [*interpreter.find().command, "-c", FOLDER_ON_PATH + code]
        return _run(target, command, Path(target))
    # resume: interrupt the board's program without a soft reset.
    on_board = [sys.executable, "-m", "mpremote", "connect", target, "resume", "exec"]
    try:
        output = _run(target, [*on_board, code])
    finally:
        if restart:
            _run(target, [*on_board, "--no-follow", RESTART])
    if restart:
        return output + f"{target}: restarted, so the program goes on\n"
    return output + f"{target}: stopped; reset the board, and the program starts\n"


def _run(target: str, command: list[str], folder: Path | None = None) -> str:
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
