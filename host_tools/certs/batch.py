"""Certificates for the devices of a CSV file, each signed once.

A run that was broken off goes on where it was: a device's folder appears whole, or not at all.
"""

import contextlib
import csv
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .. import ToolError
from . import making as certs

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

COLUMN = "registration_id"

# Without a terminal: a line of progress so often, in seconds.
EVERY_S = 10


@dataclass
class Count:
    """How many devices got their certificate now, and how many had it."""

    made: int
    there: int


def read(path: Path) -> list[str]:
    """The registration IDs of a CSV file, in its order; other columns do not matter.

    Raises ToolError, which names the line, for one that is no CSV, an ID that DPS forbids, or one
    that comes twice: DPS makes no difference between upper and lower case.
    """
    names: dict[str, tuple[str, int]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            try:
                if COLUMN not in (rows.fieldnames or []):
                    raise ToolError(f"there is no column {COLUMN}: name it in the first line")
                for row in rows:
                    name = _name(row)
                    line = names.setdefault(name.lower(), (name, rows.line_num))[1]
                    if line != rows.line_num:
                        raise ToolError(f"{name!r} is in line {line} already: take one away")
            except csv.Error as error:
                where = f"{path}, line {rows.reader.line_num}"
                raise ToolError(f"{where}: {error}: close the quotes in it") from error
            except ToolError as error:
                raise ToolError(f"{path}, line {max(1, rows.line_num)}: {error}") from error
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ToolError(f"{path} is no UTF-8: save it as that") from error
    if not names:
        raise ToolError(f"{path} names no device: put a registration ID into each line")
    return [name for name, _ in names.values()]


def _name(row: dict) -> str:
    if None in row:
        raise ToolError("there are more fields than columns: put quotes around one with a comma")
    return certs.checked((row[COLUMN] or "").strip())


def there(names: list[str], out: Path) -> set[str]:
    """Those that have their folder in out. Raises ToolError if one is not whole."""
    folders = {path.name.lower(): path for path in out.iterdir()} if out.is_dir() else {}
    found = set()
    for name in names:
        folder = folders.get(name.lower())
        if folder is None:
            continue
        missing = [file for file in certs.FILES if not (folder / file).is_file()]
        if missing:
            raise ToolError(f"{folder} has no {missing[0]}: move it away, and start again")
        found.add(name)
    return found


def batch(
    path: Path,
    out: Path,
    key_type: str,
    days: float,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Count:
    """Make the folder out/ID of each device of a CSV file, signed by the intermediate in out.

    passphrase  opens the intermediate's key, if that is encrypted
    encrypt     what is written of keys in PEM, by the pass-phrase

    Raises ToolError before anything is signed if the file has a bad line or a folder is not whole;
    later at the first device that fails, for the next would as well.
    """
    names = read(path)
    there(names, out)
    issuer = certs.authorities(out, key_type, passphrase, encrypt)
    secret = passphrase if encrypt else None
    with _alone(out):
        have = there(names, out)
        todo = [name for name in names if name not in have]
        for name in _progress(todo):
            pair = certs.issue(name, issuer, key_type=key_type, days=days)
            certs.write_folder(out / name, certs.device_files(pair, [issuer.cert], secret))
    return Count(len(todo), len(have))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises ToolError if another run signs into the folder. The lock ends with the process."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ToolError(f"another run signs into {folder}: wait for its end") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _progress(names: list[str]) -> Iterable[str]:
    """The names, with a bar on a terminal and a line now and then elsewhere."""
    if sys.stderr.isatty():
        columns = TextColumn("certificates"), BarColumn(), MofNCompleteColumn()
        console = Console(stderr=True)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as show:
            yield from show.track(names)
        return
    said = time.monotonic()
    for at, name in enumerate(names):
        if time.monotonic() - said >= EVERY_S:
            said = time.monotonic()
            print(f"certificates: {at} of {len(names)}", file=sys.stderr, flush=True)
        yield name
