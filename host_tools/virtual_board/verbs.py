"""microdps virtual-board."""

import argparse
import sys
from pathlib import Path

from .. import ToolError, interpreter

BLOCK = 4096  # of its littlefs
SIZE = "2M"
HEAP = "192k"
UNITS = {"k": 1024, "M": 1024 * 1024}


def add_virtual_board_parser(add) -> None:
    verb = add(
        description="A board without hardware: a pseudo-terminal or a socket, with a real"
        " MicroPython and its littlefs behind it, until Ctrl-C. mpremote works with it.",
        epilog="example: microdps virtual-board --flash board.flash --link board.port",
    )
    verb.add_argument(
        "--flash",
        type=Path,
        default=Path("board.flash"),
        help="file with its file system, made if it is missing; nvs.bin and nvs/ in the same"
        " folder are its non-volatile storage (%(default)s)",
    )
    verb.add_argument(
        "--size", type=_size, default=SIZE, help="size of a new flash file (%(default)s)"
    )
    verb.add_argument("--heap", default=HEAP, help="MicroPython's heap (%(default)s)")
    place = verb.add_mutually_exclusive_group()
    place.add_argument("--link", type=Path, help="symbolic link to the pseudo-terminal")
    place.add_argument(
        "--listen",
        type=_address,
        metavar="HOST:PORT",
        help="a socket instead; port 0: any. mpremote connects to socket://HOST:PORT",
    )
    verb.set_defaults(function=_virtual_board)


def _size(text: str) -> int:
    unit = UNITS.get(text[-1:], 1)
    size = int(text[: -1 if unit > 1 else None]) * unit
    if size % BLOCK or not 16 * BLOCK <= size <= 64 * UNITS["M"]:
        raise argparse.ArgumentTypeError(f"must be 64k to 64M, a multiple of {BLOCK}")
    return size


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError("must be HOST:PORT")
    return host, int(port)


def _virtual_board(args: argparse.Namespace) -> None:
    if sys.platform != "linux":
        raise ToolError(
            "the virtual board runs on Linux only, which reports when nobody has its port open"
        )
    from .virtual_board import run_virtual_board

    interpreter.micropython()
    run_virtual_board(args.flash, args.size, args.heap, args.listen, args.link)
