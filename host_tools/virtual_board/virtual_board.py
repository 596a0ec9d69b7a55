"""microdps virtual-board: a serial port with a real MicroPython and a real littlefs behind it."""

import argparse
import contextlib
import fcntl
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from littlefs import LittleFS

from .. import ToolError, interpreter
from ..files import write_files
from .board import Board
from .port import Listener, Port, Terminal

BLOCK = 4096
SIZE = "2M"
HEAP = "192k"
MAGIC = b"littlefs"  # 8 bytes into one of the first two blocks (littlefs, SPEC.md)
UNITS = {"k": 1024, "M": 1024 * 1024}


def make_flash(path: Path, size: int) -> None:
    """Make a flash file with an empty littlefs, unless it is there. Raises ToolError."""
    if not path.exists():
        empty = LittleFS(block_size=BLOCK, block_count=size // BLOCK)
        write_files(path.parent, {path.name: bytes(empty.context.buffer)})
        return
    try:
        with open(path, "rb") as file:
            blocks = [file.read(BLOCK), file.read(BLOCK)]
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    if path.stat().st_size % BLOCK or all(block[8:16] != MAGIC for block in blocks):
        raise ToolError(f"{path} holds no littlefs of {BLOCK}-byte blocks: name another file")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A flash file is one board's. Raises ToolError."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ToolError(
                f"{path} is in use: end the other virtual board, or name another file"
            ) from error
        yield


@contextlib.contextmanager
def linked(path: Path, target: str) -> Iterator[None]:
    """A symbolic link while the board runs; one that is there is replaced. Raises ToolError."""
    if os.path.lexists(path) and not path.is_symlink():
        raise ToolError(f"{path} is there already and no link: name another one")
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.symlink_to(target)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ToolError(f"cannot make the link {path}: {error.strerror}") from error
    try:
        yield
    finally:
        if path.is_symlink() and os.readlink(path) == target:
            path.unlink()


def serve(board: Board, port: Port) -> NoReturn:
    """Pass on what board and port have for each other, for ever."""
    output = b""
    while True:
        # What the port does not take yet keeps the board waiting.
        sources: list[Port | Board] = [port] if output else [port, board]
        ready, _, _ = select.select(sources, [port.out] if output else [], [])
        if port in ready:
            board.write(port.read())
        if not output and board in ready:
            output = board.read()
        if output:
            output = port.write(output)


def virtual_board(
    flash: Path, size: int, heap: str, listen: tuple[str, int] | None, link: Path | None
) -> None:
    """Run a board until SIGINT or SIGTERM. Prints one `ready` line.

    flash   file with its littlefs, made if it is missing
    size    of a new one in bytes
    heap    as MicroPython's Unix port takes it
    listen  host and port of a socket; None: a pseudo-terminal
    link    a symbolic link to make to it

    Raises ToolError, and leaves nothing behind.
    """
    with contextlib.ExitStack() as stack:
        port: Port = Listener(*listen) if listen else Terminal()
        stack.callback(port.close)
        make_flash(flash, size)
        stack.enter_context(locked(flash))
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        stack.callback(signal.signal, signal.SIGTERM, before)
        if link:
            stack.enter_context(linked(link, port.name))
        board = Board(flash, heap)
        stack.callback(board.close)
        print(f"ready port={link or port.name} flash={flash}", flush=True)
        serve(board, port)


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "virtual-board",
        help="a serial port with a real MicroPython behind it",
        description="A board without the board: a pseudo-terminal, or a socket, with a real"
        " MicroPython and its littlefs behind it, until Ctrl-C. mpremote works on it.",
        epilog="example: microdps virtual-board --flash board.flash --link board.port",
    )
    verb.add_argument(
        "--flash",
        type=Path,
        default=Path("board.flash"),
        help="file that holds its file system, made if it is missing; nvs.bin and nvs/ beside it"
        " are its non-volatile storage (%(default)s)",
    )
    verb.add_argument("--size", type=_size, default=SIZE, help="of a new flash file (%(default)s)")
    verb.add_argument("--heap", default=HEAP, help="of MicroPython (%(default)s)")
    place = verb.add_mutually_exclusive_group()
    place.add_argument("--link", type=Path, help="symbolic link to the pseudo-terminal")
    place.add_argument(
        "--listen",
        type=_address,
        metavar="HOST:PORT",
        help="a socket instead; port 0: any. mpremote connects to socket://HOST:PORT",
    )
    verb.set_defaults(function=_run)


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


def _run(args: argparse.Namespace) -> None:
    if sys.platform != "linux":
        raise ToolError("the virtual board needs Linux: it is told when nobody has its port open")
    interpreter.micropython()
    virtual_board(args.flash, args.size, args.heap, args.listen, args.link)
