"""Run a virtual board: pass bytes between its serial port and MicroPython."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from .. import ToolError
from .board import Board
from .flash_file import lock_flash, make_flash
from .port import Listener, Port, Terminal


def run_virtual_board(
    flash: Path, size: int, heap: str, listen: tuple[str, int] | None, link: Path | None
) -> None:
    """Run a board until SIGINT or SIGTERM. Prints one `ready` line.

    flash   file with its littlefs, made if it is missing
    size    size of a new file in bytes
    heap    MicroPython's heap, as the Unix port takes it
    listen  host and port of a socket; None: a pseudo-terminal
    link    symbolic link to the pseudo-terminal, to be made

    Raises ToolError, and leaves nothing behind.
    """
    with contextlib.ExitStack() as stack:
        port: Port = Listener(*listen) if listen else Terminal()
        stack.callback(port.close)
        make_flash(flash, size)
        stack.enter_context(lock_flash(flash))
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        stack.callback(signal.signal, signal.SIGTERM, before)
        if link:
            stack.enter_context(_symbolic_link(link, port.name))
        board = Board(flash, heap)
        stack.callback(board.close)
        print(f"ready port={link or port.name} flash={flash}", flush=True)
        _serve(board, port)


def _serve(board: Board, port: Port) -> NoReturn:
    """Pass on bytes between board and port, for ever."""
    output = b""
    while True:
        # If the port does not take all output, the board waits.
        sources: list[Port | Board] = [port] if output else [port, board]
        ready, _, _ = select.select(sources, [port.out] if output else [], [])
        if port in ready:
            board.write(port.read())
        if not output and board in ready:
            output = board.read()
        if output:
            output = port.write(output)


@contextlib.contextmanager
def _symbolic_link(path: Path, target: str) -> Iterator[None]:
    """A symbolic link, removed at the end. It replaces an old link. Raises ToolError."""
    if os.path.lexists(path) and not path.is_symlink():
        raise ToolError(f"{path} already exists, and is not a link: name another one")
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
