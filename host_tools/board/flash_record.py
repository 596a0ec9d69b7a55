"""The record of flashed boards: a JSON file with a line for each attempt."""

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import ToolError

DEFAULT_PATH = Path("flashed.jsonl")
FLASHED = "flashed"


@dataclass
class Entry:
    """The result for one board; a line of the record.

    thumbprint  SHA-1 of the device's certificate, as Azure's portal shows it
    program     digest of the firmware and the program, without the identity
    bytes       how many bytes were written
    result      "flashed", or the error
    """

    utc: str
    registration_id: str
    mac: str
    thumbprint: str
    program: str
    bytes: int
    result: str


class Record:
    """The record. A last line that was cut off by a power failure is ignored, and overwritten.

    Raises ToolError if the file cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        try:
            data = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise ToolError(f"cannot read the record {path}: {error}") from error
        self._end = data.rfind(b"\n") + 1  # of the last complete line
        for number, line in enumerate(data[: self._end].splitlines(), 1):
            try:
                self.entries.append(Entry(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise ToolError(
                    f"{path}, line {number}, is not an entry of the record: correct it"
                ) from error

    def add(self, entry: Entry) -> None:
        """Write an entry, and wait until it is on the disk. Raises ToolError."""
        with self._lock:
            self.entries.append(entry)
            line = json.dumps(asdict(entry)).encode() + b"\n"
            try:
                with open(self.path, "r+b" if self.path.exists() else "wb") as file:
                    file.seek(self._end)
                    file.truncate()
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise ToolError(f"cannot write the record {self.path}: {error}") from error
            self._end += len(line)

    def last_success(self, mac: str) -> Entry | None:
        """The last successful entry of a board."""
        found = [one for one in self.entries if one.mac == mac and one.result == FLASHED]
        return found[-1] if found else None

    def flashed_ids(self) -> set[str]:
        """The registration IDs of all devices that have their board."""
        return {one.registration_id for one in self.entries if one.result == FLASHED}
