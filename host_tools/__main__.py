"""The `microdps` command: its parser, and its exit codes."""
# PYTHON_ARGCOMPLETE_OK

import argparse
import functools
import importlib
import os
import re
import sys
import warnings
from typing import NoReturn

from microdps import __version__

from . import ToolError
from .colours import coloured
from .words import nearest

# In the order in which --help lists the verbs: verb → its room, and its line of the list. The
# function add_VERB_parser in the room's verbs.py adds the parser. A room is imported only if one
# of its verbs is called.
VERBS = {
    "certs": ("certs", "make, show, convert and renew certificates"),
    "enroll": ("enroll", "enroll devices with DPS"),
    "config": ("device", "write and check a device's configuration"),
    "check": ("device", "find what would fail on the board, before it is flashed"),
    "simulate": ("simulator", "run a simulated DPS and IoT hub"),
    "hub": ("hub", "the other side of a simulated hub: messages, twins, methods, a live view"),
    "run": ("device", "run the device's program on this computer"),
    "demo": ("demo", "the main job on this computer: simulator, device, 10 messages"),
    "image": ("board", "make flash images: the program, a device's identity, or all in one file"),
    "flash": ("board", "put MicroPython, the program and an identity onto boards"),
    "deploy": ("board", "put the program on a board: changed files only"),
    "live-check": ("device", "check the way to DPS and the hub with a device's own files"),
    "status": ("board", "print a board's assignment, certificate and last errors"),
    "reset": ("board", "make a board forget its assignment, so that it registers again"),
    "monitor": ("board", "show what a board prints"),
    "virtual-board": ("virtual_board", "a serial port with a real MicroPython behind it"),
    "explain": ("device", "explain an error code, and say what to check"),
}

# What argparse says about a wrong word, and the words that it would take.
WRONG_CHOICE = re.compile(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", re.DOTALL)
UNKNOWN = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)


class HelpFormatter(argparse.HelpFormatter):
    """Keeps an example on one line, so that it can be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """argparse makes the verbs' parsers of the same class, so they get all of this as well."""

    def __init__(self, **options):
        super().__init__(formatter_class=HelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """End with 2, and name the word that may have been meant."""
        if found := WRONG_CHOICE.search(message):
            message += nearest(found[1], re.findall(r"[\w.-]+", found[2]))
        elif found := UNKNOWN.search(message):
            options = [name for one in _parsers(self) for name in one._option_string_actions]
            message += nearest(found[1].split()[0].partition("=")[0], options)
        super().error(message)


def _parsers(top: argparse.ArgumentParser):
    """A parser and all those below it."""
    yield top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _parsers(below)


def parser(only: str = "") -> argparse.ArgumentParser:
    """The parser of the command. only: the verb that is called; the others get no arguments."""
    top = Parser(
        prog="microdps",
        description="Azure IoT Hub for MicroPython boards, by DPS and X.509 over HTTPS.",
        epilog="example: microdps simulate",
    )
    top.add_argument("--version", action="version", version=f"microdps {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB")
    for verb, (room, text) in VERBS.items():
        add = functools.partial(verbs.add_parser, verb, help=text)
        if only in ("", verb):
            module = importlib.import_module(f".{room}.verbs", __package__)
            getattr(module, f"add_{verb.replace('-', '_')}_parser")(add)
        else:
            add()
    return top


def called_verb(words: list[str]) -> str:
    """The verb of a command line; something that is no verb if there is none."""
    return next((word for word in words if word in VERBS), "-")


def main(argv: list[str] | None = None) -> int:
    """Run the command → exit code: 0 done, 1 failed (one sentence on stderr), 2 wrong usage."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if "_ARGCOMPLETE" in os.environ:
            complete()
        top = parser(called_verb(words))
        arguments = top.parse_args(words)
        if not hasattr(arguments, "function"):
            top.print_help()
            return 0
        return run(arguments)
    except KeyboardInterrupt:
        print("microdps: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Nobody reads our output any more. Python would raise this again when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def run(arguments: argparse.Namespace) -> int:
    """Run the function of a verb → exit code."""
    from microdps.errors import Error

    try:
        with warnings.catch_warnings():
            # Libraries warn about files of users, in words for developers.
            for kind in (UserWarning, DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", kind)
            return arguments.function(arguments) or 0
    except (ToolError, Error) as error:
        print(coloured(f"microdps: {error}", "red", sys.stderr), file=sys.stderr)
        return 1


def complete() -> None:
    """Answer the shell's question for completions, and end: eval "$(register-python-argcomplete
    microdps)" makes it ask."""
    import argcomplete

    argcomplete.autocomplete(parser(called_verb(os.environ.get("COMP_LINE", "").split())))


if __name__ == "__main__":
    sys.exit(main())
