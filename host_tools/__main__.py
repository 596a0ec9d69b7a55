"""The `microdps` command."""

import argparse
import os
import sys

from microdps.errors import Error

from . import ToolError
from .board import deploy, flash, image, status
from .certs import verbs as certs_verbs
from .demo import demo
from .device import check, config, explain, live_check, run
from .enroll import verbs as enroll_verbs
from .simulator import verbs as simulate
from .virtual_board import virtual_board

VERBS = (
    certs_verbs,
    enroll_verbs,
    config,
    check,
    simulate,
    run,
    demo,
    image,
    flash,
    deploy,
    live_check,
    status,
    virtual_board,
    explain,
)


class Help(argparse.HelpFormatter):
    """Leaves an example on one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """The verbs' parsers are of the same class."""

    def __init__(self, **options):
        super().__init__(formatter_class=Help, **options)


def parser() -> argparse.ArgumentParser:
    """The command line: each verb's module adds its own part."""
    top = Parser(
        prog="microdps",
        description="Azure IoT Hub for MicroPython boards, by DPS and X.509 over HTTPS.",
        epilog="example: microdps simulate",
    )
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run the command → exit code: 0 done, 1 failed (one sentence on stderr), 2 wrong usage."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.function(arguments) or 0
    except (ToolError, Error) as error:
        print(f"microdps: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("microdps: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has left. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
