"""The record of flashed boards: a JSON file with a line for each attempt.

Several runs may use the record at the same time. Before a run writes an identity to a board, it
reserves the device in its journal, a file beside the record. The journal disappears when the run
ends. If the run is killed, the next one finds its journal, and notes in the record which identity
may be on which board.
"""

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from .. import ToolError
from ..files import locked

FLASHED = "flashed"
ENDED = "the run was ended while the identity was written, which may be on the board or not"


@dataclass
class Entry:
    """The result for one board; a line of the record.

    thumbprint  SHA-1 of the device's certificate, as Azure's portal shows it
    program     digest of the firmware and the program, without the identity
    bytes       how many bytes were written
    result      "flashed", or the error
    uncertain   after an error: may the identity be on the board?
    """

    utc: str
    registration_id: str
    mac: str
    thumbprint: str
    program: str
    bytes: int
    result: str
    uncertain: bool = False


class Record:
    """The record. A last line that was cut off by a power failure is ignored, and overwritten.

    Raises ToolError if the file cannot be read or written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.RLock()
        self._end = 0  # of the last complete line that was read
        self._journal = path.with_name(f".{path.name}.{uuid.uuid4().hex}.run")
        self._journal_file: IO[bytes] | None = None
        self._journal_lock = contextlib.ExitStack()
        self._reservations: dict[str, str] = {}
        self.entries: list[Entry] = []
        if path.exists():
            with self._errors(), open(path, "rb") as file:
                self._read(file)

    def _read(self, file) -> None:
        """Read the lines that came since the last time."""
        file.seek(self._end)
        data = file.read()
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        for line in lines:
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError) as error:
                number = len(self.entries) + 1
                raise ToolError(
                    f"{self.path}, line {number}, is not an entry of the record: correct it"
                ) from error
            self.entries.append(entry)
            self._end += len(line)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ToolError(f"cannot use the record {self.path}: {error.strerror}") from error

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator:
        """The open record, with everything read, while no other run writes."""
        with self._lock, self._errors(), open(self.path, "a+b") as file, locked(file):
            self._read(file)
            yield file

    def add(self, entry: Entry) -> None:
        """Write an entry, and wait until it is on the disk. It ends the device's reservation."""
        with self._exclusive() as file:
            self._append(file, entry)
            self._write_journal(
                {key: mac for key, mac in self._own().items() if key != entry.registration_id}
            )

    def _append(self, file, entry: Entry) -> None:
        file.truncate(self._end)
        line = json.dumps(asdict(entry)).encode() + b"\n"
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        self.entries.append(entry)
        self._end += len(line)

    def reserve(self, mac: str, wanted: list[str], again: bool, only: bool) -> str:
        """Reserve a device for a board, before its identity is written → its registration ID.

        wanted  the devices that the board may become, the first one first
        again   give the board an identity even if it has one
        only    the user has named this one device; with again it may be on another board already

        Raises ToolError if none of them is free.
        """
        with self._exclusive() as file:
            self._take_over_ended_runs(file)
            taken = self._reserved_by_others() | self._own()
            why = ""
            for name in self._for_this_board(mac, wanted):
                why = self._refusal(name, mac, taken, again, only)
                if not why:
                    self._write_journal(self._own() | {name: mac})
                    return name
        raise ToolError(why or "no device is left: all have their boards")

    def _for_this_board(self, mac: str, wanted: list[str]) -> list[str]:
        """The wanted devices; one that may already be on the board comes first."""
        here = [name for name in wanted if self._uncertain().get(name) == mac]
        return here + [name for name in wanted if name not in here]

    def _refusal(self, name: str, mac: str, taken: dict[str, str], again: bool, only: bool) -> str:
        if name in taken:
            return f"{name} is being flashed to another board: wait until that ends"
        before = self.last_success(mac)
        if before and before.registration_id != name and not again:
            return (
                f"the board {mac} is {before.registration_id} already: use another board, or give"
                " --again"
            )
        other = self.board_of(name)
        if other not in ("", mac) and not (again and only):
            return (
                f"{name} is on the board {other} already, or may be: flash that board again, or"
                " give --again"
            )
        return ""

    def board_of(self, name: str) -> str:
        """The MAC of the board that has a device, or may have it; "" if there is none."""
        macs = [
            one.mac
            for one in self.entries
            if one.registration_id == name and (one.result == FLASHED or one.uncertain)
        ]
        return macs[-1] if macs else ""

    def _uncertain(self) -> dict[str, str]:
        """The devices that may be on a board, and its MAC."""
        found: dict[str, str] = {}
        for entry in self.entries:
            if entry.result == FLASHED:
                found.pop(entry.registration_id, None)
            elif entry.uncertain:
                found[entry.registration_id] = entry.mac
        return found

    def last_success(self, mac: str) -> Entry | None:
        """The last successful entry of a board."""
        found = [one for one in self.entries if one.mac == mac and one.result == FLASHED]
        return found[-1] if found else None

    def flashed_ids(self) -> set[str]:
        """The registration IDs of all devices that have their board."""
        return {one.registration_id for one in self.entries if one.result == FLASHED}

    def taken_ids(self) -> set[str]:
        """The same, and those that get their board in another run."""
        return self.flashed_ids() | set(self._reserved_by_others())

    # The journals: each holds the reservations of a run, registration ID → MAC, and is locked as
    # long as the run lives.

    def _own(self) -> dict[str, str]:
        return dict(self._reservations)

    def _write_journal(self, reservations: dict[str, str]) -> None:
        """Write the reservations of this run, and wait until they are on the disk."""
        if self._journal_file is None:
            if not reservations:
                return
            self._journal_file = open(self._journal, "a+b")  # noqa: SIM115  open while it runs
            self._journal_lock.enter_context(locked(self._journal_file))
        self._reservations = reservations
        self._journal_file.write(json.dumps(reservations).encode() + b"\n")
        self._journal_file.flush()
        os.fsync(self._journal_file.fileno())

    def _others(self) -> Iterator[Path]:
        for path in self.path.parent.glob(f".{self.path.name}.*.run"):
            if path != self._journal:
                yield path

    def _reserved_by_others(self) -> dict[str, str]:
        """The reservations of other runs that live."""
        found: dict[str, str] = {}
        for path in self._others():
            found |= _read_journal(path)[1]
        return found

    def _take_over_ended_runs(self, file) -> None:
        """Note the reservations of runs that were killed in the record, and delete their journals.

        file  the open record
        """
        for path in self._others():
            ended, reservations = _read_journal(path)
            if not ended:
                continue
            for name, mac in reservations.items():
                utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
                self._append(file, Entry(utc, name, mac, "", "", 0, ENDED, uncertain=True))
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the run: its journal disappears."""
        with self._lock:
            if self._journal_file is not None:
                self._journal.unlink(missing_ok=True)
                self._journal_lock.close()
                self._journal_file.close()
                self._journal_file = None


def _read_journal(path: Path) -> tuple[bool, dict[str, str]]:
    """Has the run ended that wrote a journal? And its reservations."""
    try:
        with open(path, "r+b") as file:
            ended = True
            try:
                with locked(file, wait=False):
                    pass
            except BlockingIOError:
                ended = False
            file.seek(0)
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:  # it has just ended
        return True, {}
    whole = [line for line in lines if line.endswith(b"\n")]
    return ended, json.loads(whole[-1]) if whole else {}
