"""The `microdps` command: its parser, and its exit codes."""

import argparse
import os
import sys

from microdps.errors import Error

from . import ToolError
from .board import verbs as board
from .certs import verbs as certs
from .demo import verbs as demo
from .device import verbs as device
from .enroll import verbs as enroll
from .hub import verbs as hub
from .simulator import verbs as simulator
from .virtual_board import verbs as virtual_board

# In the order in which --help lists the verbs.
ADD_PARSERS = (
    certs.add_certs_parser,
    enroll.add_enroll_parser,
    device.add_config_parser,
    device.add_check_parser,
    simulator.add_simulate_parser,
    hub.add_hub_parser,
    device.add_run_parser,
    demo.add_demo_parser,
    board.add_image_parser,
    board.add_flash_parser,
    board.add_deploy_parser,
    device.add_live_check_parser,
    board.add_status_and_reset_parsers,
    virtual_board.add_virtual_board_parser,
    device.add_explain_parser,
)


class HelpFormatter(argparse.HelpFormatter):
    """Keeps an example on one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """argparse makes the verbs' parsers of the same class, so they get this formatter as well."""

    def __init__(self, **options):
        super().__init__(formatter_class=HelpFormatter, **options)


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="microdps",
        description="Azure IoT Hub for MicroPython boards, by DPS and X.509 over HTTPS.",
        epilog="example: microdps simulate",
    )
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for add_parser in ADD_PARSERS:
        add_parser(verbs)
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
        # Nobody reads our output any more. Python would raise this again when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
