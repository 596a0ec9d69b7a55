"""microdps status and reset: ask a board how it is; make it register anew.

The board is named by its serial port, as mpremote names it, or by a folder of this machine.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from host_tools import ToolError, interpreter

TIMEOUT_S = 60


def ask(target: str, function: str) -> str:
    """Run a function of microdps.program.status on a board → what it printed. Raises ToolError."""
    code = _CODE.format(function=function)
    if Path(target).is_dir():
        command = [*interpreter.find().command, "-c", _IN_FOLDER + code]
        where: Path | None = Path(target)
    else:
        # resume: the board's own program is interrupted, and not started again in between.
        command = [sys.executable, "-m", "mpremote", "connect", target, "resume", "exec", code]
        where = None
    try:
        done = subprocess.run(
            command, cwd=where, capture_output=True, text=True, timeout=TIMEOUT_S
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


# The program of an older version has the module elsewhere.
_CODE = """\
try:
    from microdps.program import status
except ImportError:
    from microdps import status
status.{function}()
"""

# Where the interpreter finds the program that lies in the folder.
_IN_FOLDER = "import sys; sys.path.insert(0, '')\n"


def add_parser(verbs) -> None:
    for name, function, text in (
        ("status", "show", "print a board's assignment, certificate and last errors"),
        ("reset", "reset", "make a board forget its assignment, so that it registers anew"),
    ):
        verb = verbs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example: microdps {name} /dev/ttyUSB0",
        )
        verb.add_argument("target", help="serial port, or a device's folder")
        verb.set_defaults(function=_run, ask=function)


def _run(args: argparse.Namespace) -> None:
    print(ask(args.target, args.ask), end="")
