"""Certificates for the devices of a CSV file, each signed once.

A run that was broken off goes on where it was: a device's folder appears whole, or not at all.
"""

import csv
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from host_tools import ToolError, certs

COLUMN = "registration_id"


def read(path: Path) -> list[str]:
    """The registration IDs of a CSV file, in its order; other columns do not matter.

    Raises ToolError, which names the line, for an ID that DPS forbids or that comes twice.
    """
    names: list[str] = []
    lines: dict[str, int] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            if COLUMN not in (rows.fieldnames or []):
                raise ToolError(f"{path} has no column {COLUMN!r}: name it in the first line")
            for row in rows:
                name = (row[COLUMN] or "").strip()
                where = f"{path}, line {rows.line_num}"
                try:
                    certs.checked(name)
                except ToolError as error:
                    raise ToolError(f"{where}: {error}") from error
                before = lines.setdefault(name.lower(), rows.line_num)
                if before != rows.line_num:
                    raise ToolError(
                        f"{where}: {name} is in line {before} already; IDs do not differ by case"
                    )
                names.append(name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"cannot read {path}: {error}") from error
    if not names:
        raise ToolError(f"{path} names no device: put a registration ID into each line")
    return names


def issue(
    names: list[str],
    out: Path,
    issuer: certs.Pair,
    key_type: str,
    days: float,
    secret: bytes | None,
) -> Iterator[bool]:
    """Make the folder out/NAME of each device → for each: was it made now?

    secret  encrypts key.pem
    Raises ToolError at the first one that fails: the next would as well.
    """
    for name in names:
        folder = out / name
        files = certs.FILES
        if folder.exists():
            missing = [file for file in files if not (folder / file).exists()]
            if missing:
                raise ToolError(f"{folder} has no {missing[0]}: it is not whole; delete it")
            yield False
            continue
        new = out / f".{name}.new"
        shutil.rmtree(new, ignore_errors=True)  # of a run that was broken off
        try:
            pair = certs.issue(name, issuer, key_type=key_type, days=days)
            certs.write_new(new, certs.device_files(pair, [issuer.cert], secret))
            new.rename(folder)
        except OSError as error:
            raise ToolError(f"cannot write {folder}: {error.strerror}") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        yield True


def run(
    path: Path,
    out: Path,
    key_type: str,
    days: float,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> tuple[int, int]:
    """Make certificates for all devices of a CSV file → how many were made, and were there.

    Shows its progress on a terminal. Raises ToolError.
    """
    names = read(path)
    issuer = certs.authorities(out, key_type, passphrase, encrypt)
    made = there = 0
    columns = TextColumn("certificates"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    hidden = not sys.stderr.isatty()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=hidden) as show:
        secret = passphrase if encrypt else None
        for new in show.track(issue(names, out, issuer, key_type, days, secret), total=len(names)):
            made, there = (made + 1, there) if new else (made, there + 1)
    return made, there
