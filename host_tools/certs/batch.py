"""Make certificates for all devices of a CSV file, and sign each device once.

A run that was interrupted can be started again: it continues with the devices that have no folder
yet. A device's folder appears whole, or not at all.
"""

import contextlib
import csv
import io
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .. import ToolError
from ..files import lock, write_folder
from ..text_files import decode, unquoted
from .ca import intermediate_ca
from .certificate_folder import FILES, device_files, issuer_chain
from .defaults import COLUMN
from .making import issue
from .registration_id import check_folder_name

SEPARATORS = (",", ";", "\t")

# How Excel's own files begin, new and old.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

# Seconds between two lines of progress, if there is no terminal for a progress bar.
PROGRESS_INTERVAL_S = 10


@dataclass
class Count:
    """How many certificates were made, and how many devices had one before."""

    made: int
    existing: int


def read_csv(path: Path) -> list[str]:
    """The registration IDs of a CSV file, in their order. Other columns are ignored.

    Fields are separated by commas, semicolons or tabs. Excel's line sep=; may come first.

    Raises ToolError, which names the line, if the file is not CSV, if DPS forbids an ID, or if an
    ID comes twice: DPS ignores the case of letters.
    """
    text = _text(path)
    skipped, separator = _separator(text.splitlines())
    text = re.sub(rf'" +(?={re.escape(separator)}|\r|\n|$)', '"', text)  # blanks after a quote
    form: Any = {"delimiter": separator, "skipinitialspace": True, "strict": True}
    rows = csv.reader(io.StringIO(text, newline=""), **form)
    names: dict[str, tuple[str, int]] = {}  # ID in lower case → ID, line
    try:
        for _ in range(skipped):
            next(rows, None)
        header = next(rows, [])
        columns = [number for number, name in enumerate(header) if _plain(name) == _plain(COLUMN)]
        if not columns:
            raise ToolError(f"there is no column {COLUMN}: name it in the first line")
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            name = _registration_id(row, columns[0], len(header))
            line = names.setdefault(name.lower(), (name, rows.line_num))[1]
            if line != rows.line_num:
                raise ToolError(f"{name!r} is already in line {line}: remove one of them")
    except csv.Error as error:
        raise ToolError(
            f"{path}, line {rows.line_num}: a quote is not closed, or stands inside of a field:"
            " correct the quotes"
        ) from error
    except ToolError as error:
        raise ToolError(f"{path}, line {max(1, rows.line_num)}: {error}") from error
    if not names:
        raise ToolError(f"{path} has no devices: put a registration ID into each line")
    return [name for name, _ in names.values()]


def _text(path: Path) -> str:
    """The text of a CSV file. Raises ToolError if it has none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith(WORKBOOKS):
        raise ToolError(f"{path} is an Excel workbook: save it as CSV")
    text = decode(data)
    if "\0" in text:
        raise ToolError(f"{path} is not text: save it as CSV")
    return text


def _separator(lines: list[str]) -> tuple[int, str]:
    """How many lines come before the columns' names, and the character between two fields."""
    first = lines[0] if lines else ""
    given = re.fullmatch(r'"?sep=(.)"?[,;]*', first.strip(" "), re.IGNORECASE)
    if given:
        return 1, given[1]
    return 0, max(SEPARATORS, key=first.count)


def _plain(name: str) -> str:
    """A column's name in lower case, without _ and blanks: registrationId is registration_id."""
    return re.sub(r"[\W_]", "", name.lower())


def _registration_id(row: list[str], column: int, columns: int) -> str:
    if len(row) > columns and any(field.strip() for field in row[columns:]):
        raise ToolError(
            "there are more fields than columns: put quotes around a field that has the separator"
            " in it"
        )
    return check_folder_name(unquoted(row[column]) if column < len(row) else "")


def existing_devices(names: list[str], out: Path) -> set[str]:
    """Which devices have their folder in out. Raises ToolError if a folder lacks a file."""
    folders = {path.name.lower(): path for path in out.iterdir()} if out.is_dir() else {}
    existing = set()
    for name in names:
        folder = folders.get(name.lower())
        if folder is None:
            continue
        missing = [file for file in FILES if not (folder / file).is_file()]
        if missing:
            raise ToolError(f"{folder} has no {missing[0]}: move it away, and start again")
        existing.add(name)
    return existing


def make_batch(
    path: Path,
    out: Path,
    key_type: str,
    days: float,
    passphrase: bytes | None = None,
    encrypt: bool = False,
    with_root: bool = False,
) -> Count:
    """Make the folder out/ID for each device of a CSV file, signed by the intermediate in out.

    passphrase  opens the intermediate's key, if that is encrypted
    encrypt     encrypt new keys in PEM with the pass-phrase
    with_root   the devices' chains end with the root; otherwise with the intermediate

    Raises ToolError. If the CSV file has a bad line or a folder lacks a file, nothing is signed.
    Later it stops at the first device that fails, because the next one would fail as well.
    """
    names = read_csv(path)
    existing_devices(names, out)
    issuer = intermediate_ca(out, key_type, passphrase, encrypt)
    issuers = issuer_chain(issuer.cert, out, with_root)
    secret = passphrase if encrypt else None
    with _locked(out):
        existing = existing_devices(names, out)
        todo = [name for name in names if name not in existing]
        for name in _with_progress(todo):
            device = issue(name, issuer, key_type=key_type, days=days)
            write_folder(out / name, device_files(device, issuers, secret))
    return Count(len(todo), len(existing))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises ToolError if another run signs into the folder. The lock ends with the process."""
    with open(folder / "intermediate.cert.pem", "rb") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError as error:
            raise ToolError(f"another run signs into {folder}: wait until it ends") from error
        yield


def _with_progress(names: list[str]) -> Iterable[str]:
    """The names. Shows a bar on a terminal, and prints lines elsewhere."""
    if sys.stderr.isatty():
        columns = TextColumn("certificates"), BarColumn(), MofNCompleteColumn()
        console = Console(stderr=True)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
            yield from bar.track(names)
        return
    printed = time.monotonic()
    for done, name in enumerate(names):
        if time.monotonic() - printed >= PROGRESS_INTERVAL_S:
            printed = time.monotonic()
            print(f"certificates: {done} of {len(names)}", file=sys.stderr, flush=True)
        yield name
