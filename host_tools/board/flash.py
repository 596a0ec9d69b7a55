"""Flash one board: MicroPython, the program and an identity.

What a board already has is not written again: after the first time, only a device's identity and
configuration are written.
"""

import contextlib
import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from .. import ToolError
from ..boards import Board
from . import image
from .boot_loader import BootLoader
from .flash_devices import Device
from .flash_record import FLASHED, Entry, Record

NOTHING = "nothing was written"
HALF = "the board is half written"
IDENTITY = "its identity may be written or not"


class StoppedError(ToolError):
    """Ctrl-C was pressed."""


class Job:
    """What all boards of a run get.

    firmware  MicroPython's .bin; None: the boards have it already
    release   the MicroPython release; None: the newest
    sources   .py files instead of .mpy
    """

    def __init__(self, board: Board, firmware: Path | None, release: str | None, sources: bool):
        self.board = board
        self._release = release
        self._firmware = image.read_firmware(firmware, board) if firmware else b""
        self._files = image.program_files(sources)
        self._lock = threading.Lock()
        self._programs: dict[int, bytes] = {}  # size of the file system → image

    def parts(self, flash_size: int) -> dict[int, bytes]:
        """The parts that all devices share: offset → bytes. Raises ToolError."""
        board = self.board
        size = board.filesystem_size(flash_size, self._release)
        with self._lock:
            if size not in self._programs:
                self._programs[size] = image.littlefs_image(self._files, size, board.block_size)
        parts = image.split_around_nvs(self._firmware, board) if self._firmware else {}
        return parts | {board.filesystem: self._programs[size]}


def parts_digest(parts: dict[int, bytes]) -> str:
    """A digest that identifies a firmware and program."""
    digest = hashlib.sha256()
    for offset, content in sorted(parts.items()):
        digest.update(offset.to_bytes(4, "big") + content)
    return digest.hexdigest()


class Attempt:
    """The attempt to flash one board.

    wanted  the devices that the board may become, the first one first: registration ID → folder
    again   also flash a board that is another device already
    only    the user has named this one device
    done    what has been written so far, in words
    entry   for the record
    """

    def __init__(self, port: str, wanted: dict[str, Path], again: bool, only: bool):
        self.port = port
        self.wanted = wanted
        self.done = NOTHING
        self.entry = Entry("", next(iter(wanted)), "", "", "", 0, "")
        self.folder: Path | None = None
        self._again = again
        self._only = only
        self._boot_loader: BootLoader | None = None
        self._is_recorded = threading.Lock()

    def run(
        self,
        job: Job,
        record: Record,
        open_boot_loader: Callable[[str], BootLoader],
        check_stop: Callable[[], None],
    ) -> None:
        """Flash the board, and record the result.

        open_boot_loader  takes a port, returns a BootLoader
        check_stop        raises StoppedError if Ctrl-C was pressed

        Raises ToolError; the record gets a failure as well.
        """
        try:
            self._boot_loader = open_boot_loader(self.port)
            try:
                check_stop()
                self._flash(self._boot_loader, job, record, check_stop)
            finally:
                self._boot_loader.close()
            self.finish(record, FLASHED)
        except ToolError as error:
            self.finish(record, str(error))
            raise

    def _flash(
        self,
        boot_loader: BootLoader,
        job: Job,
        record: Record,
        check_stop: Callable[[], None],
    ) -> None:
        entry = self.entry
        entry.mac = boot_loader.mac
        name = record.reserve(entry.mac, list(self.wanted), self._again, self._only)
        device = Device.load(self.wanted[name], job.board)
        self.folder = device.folder
        entry.registration_id, entry.thumbprint = name, device.thumbprint
        common = job.parts(boot_loader.flash_size)
        entry.program = parts_digest(common)
        before = record.last_success(entry.mac)
        if before and before.program == entry.program:
            common = {}  # a board that has run has changed its own file system
        parts = boot_loader.differing(common)
        check_stop()
        if parts:
            self.done = HALF
            boot_loader.write(parts)
            entry.bytes = sum(map(len, parts.values()))
        check_stop()
        # The identity comes last: until then, the device may go to another board.
        self.done, entry.uncertain = IDENTITY, True
        boot_loader.write({job.board.nvs: device.nvs})
        entry.bytes += len(device.nvs)
        self.done = "all was written"
        boot_loader.restart()

    def finish(self, record: Record, result: str) -> None:
        """Record the result, once."""
        if not self._is_recorded.acquire(blocking=False):
            return
        self.entry.result = result
        self.entry.uncertain = self.entry.uncertain and result != FLASHED
        self.entry.utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        record.add(self.entry)

    def cut_off(self, record: Record) -> None:
        """End an attempt that does not end by itself: close its port, and record it."""
        self.finish(record, f"stopped by Ctrl-C: {self.done}")
        if self._boot_loader:
            with contextlib.suppress(ToolError):
                self._boot_loader.close()
