"""The virtual board's flash: a file with a littlefs, which one board uses at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from littlefs import LittleFS

from .. import ToolError
from ..files import lock, write_files

BLOCK = 4096
MAGIC = b"littlefs"  # at byte 8 of one of the first two blocks (littlefs, SPEC.md)


def make_flash(path: Path, size: int) -> None:
    """Make a flash file with an empty littlefs, or check the one that exists. Raises ToolError."""
    if not path.exists():
        empty = LittleFS(block_size=BLOCK, block_count=size // BLOCK)
        content = bytes(empty.context.buffer)
        write_files(path.parent, {path.name: content}, secret=True)
        return
    try:
        path.chmod(0o600)  # it will hold the board's key
        with open(path, "rb") as file:
            blocks = [file.read(BLOCK), file.read(BLOCK)]
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    if path.stat().st_size % BLOCK or all(block[8:16] != MAGIC for block in blocks):
        raise ToolError(f"{path} has no littlefs with {BLOCK}-byte blocks: name another file")


@contextlib.contextmanager
def lock_flash(path: Path) -> Iterator[None]:
    """Keep other virtual boards from using the file. Raises ToolError if one does already."""
    with open(path, "rb") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError as error:
            raise ToolError(
                f"{path} is in use: end the other virtual board, or name another file"
            ) from error
        yield
