"""Flash boards: MicroPython, the program and an identity, several ports at once.

What a board already has is not written again: after the first time, only a device's identity and
configuration are written. A record has a line for each board, so a run that failed can be started
again.
"""

import contextlib
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from rich.console import Console
from rich.progress import Progress

from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config as device_config

from .. import ToolError
from ..boards import Board
from ..certs.slots import SLOTS, slot_folder
from . import image
from .boot_loader import BootLoader
from .flash_record import FLASHED, Entry, Record

# The files of an identity that --delete-keys deletes.
KEY_FILES = ("key.der",)


@dataclass
class Device:
    """A device to flash. nvs: the image of its NVS partition."""

    folder: Path
    registration_id: str
    thumbprint: str
    nvs: bytes

    @classmethod
    def load(cls, folder: Path, board: Board) -> "Device":
        """Read a folder that 'microdps config' made. Raises ToolError."""
        nvs = image.nvs_image(image.device_blobs(folder), board.nvs_size)
        try:
            name = device_config.load(str(folder / "config.json"))["registration_id"]
            leaf = next(Identity.from_files(str(slot_folder(folder, image.SLOT))).certs("cert"))
            thumbprint = x509.load_der_x509_certificate(leaf).fingerprint(hashes.SHA1()).hex()  # noqa: S303
        except (Error, ValueError) as error:
            raise ToolError(f"{folder}: {error}") from error
        return cls(folder, name, thumbprint, nvs)

    def delete_keys(self) -> None:
        """Delete this computer's copies of the private keys."""
        for slot in SLOTS:
            for name in KEY_FILES:
                (slot_folder(self.folder, slot) / name).unlink(missing_ok=True)


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


def flash(
    port: str,
    device: Device,
    job: Job,
    record: Record,
    again: bool,
    open_boot_loader: Callable[[str], BootLoader],
) -> Entry:
    """Flash one board → its entry in the record.

    again             also flash a board that is another device already
    open_boot_loader  takes a port, returns a BootLoader

    Raises ToolError; the record gets a failure as well.
    """
    entry = Entry("", device.registration_id, "", device.thumbprint, "", 0, "")
    try:
        boot_loader = open_boot_loader(port)
        try:
            entry.mac = boot_loader.mac
            before = record.last_success(boot_loader.mac)
            if before and before.registration_id != device.registration_id and not again:
                raise ToolError(
                    f"the board on {port} is {before.registration_id} already: use another board,"
                    " or give --again"
                )
            _write(boot_loader, device, job, before, entry)
            boot_loader.restart()
        finally:
            boot_loader.close()
        entry.result = FLASHED
    except ToolError as error:
        entry.result = str(error)
        raise
    finally:
        entry.utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        record.add(entry)
    return entry


def _write(
    boot_loader: BootLoader, device: Device, job: Job, before: Entry | None, entry: Entry
) -> None:
    """Write the parts that the board does not have, and note them in its entry.

    before  the board's last entry, if it has one
    """
    common = job.parts(boot_loader.flash_size)
    entry.program = parts_digest(common)
    if before and before.program == entry.program:
        common = {}  # a board that has run has changed its own file system
    parts = boot_loader.differing(common) | {job.board.nvs: device.nvs}
    boot_loader.write(parts)
    entry.bytes = sum(map(len, parts.values()))


def flash_all(
    ports: list[str], devices: list[Device], flash_one: Callable, delete_keys: bool
) -> list[str]:
    """Flash one device through each port, at the same time → the errors.

    flash_one  takes a port and a device, returns the record's entry
    """
    errors = []
    with _progress() as (progress, logger):

        def work(port: str, device: Device) -> Entry:
            logger.task.number = progress.add_task(f"{port} {device.registration_id}", total=None)
            entry = flash_one(port, device)
            if delete_keys:
                device.delete_keys()
            return entry

        with ThreadPoolExecutor(len(ports)) as pool:
            pairs = zip(ports, devices, strict=False)
            futures = [(port, pool.submit(work, port, device)) for port, device in pairs]
            for port, future in futures:
                try:
                    entry = future.result()
                except ToolError as error:
                    errors.append(str(error))
                    continue
                print(f"{port}: {entry.registration_id} is on {entry.mac}, {entry.bytes} bytes")
    return errors


@contextlib.contextmanager
def _progress() -> Iterator[tuple[Progress, Any]]:
    """Progress bars on the terminal, and esptool's logger, which moves the bar of its thread."""
    from esptool.logger import EspLog, log

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        before = EspLog.instance
        logger = _quiet_logger(progress)
        log.set_logger(logger)
        try:
            yield progress, logger
        finally:
            EspLog.instance = before


def _quiet_logger(progress: Progress) -> Any:
    """A logger for esptool that shows nothing but the progress of each thread's own task."""
    from esptool.logger import TemplateLogger

    class QuietLogger(TemplateLogger):
        task = threading.local()

        def _nothing(self, *args, **kwargs) -> None:
            pass

        print = note = warning = error = stage = set_verbosity = warn = err = debug = _nothing

        def progress_bar(self, cur_iter, total_iters, *args, **kwargs) -> None:
            number = getattr(self.task, "number", None)
            if number is not None:
                progress.update(number, completed=cur_iter, total=total_iters)

    return QuietLogger()


def devices_without_board(folder: Path, record: Record, board: Board, limit: int) -> list[Device]:
    """The next devices that have no board yet, at most limit.

    folder  holds the devices' folders
    Raises ToolError if there are none.
    """
    folders = sorted(path.parent for path in folder.glob("*/config.json"))
    if not folders:
        raise ToolError(
            f"{folder} has no devices' folders: make them with 'microdps config --out'"
        )
    flashed = record.flashed_ids()
    devices: list[Device] = []
    for path in folders:
        if len(devices) == limit:
            break
        name = device_config.load(str(path / "config.json"))["registration_id"]
        if name not in flashed:
            devices.append(Device.load(path, board))
    return devices
