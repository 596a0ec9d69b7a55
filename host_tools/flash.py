"""microdps flash: MicroPython, the program and an identity onto boards, several ports at once.

What a board has already is left alone: after the first time, a device's identity and config are
all that is written. Each device is recorded in a file: a run that failed goes on where it was.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from rich.console import Console
from rich.progress import Progress

from host_tools import ToolError, boards, image
from host_tools.boards import Board
from host_tools.config import SLOTS, slot_folder
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config as device_config

RECORD = Path("flashed.jsonl")
FLASHED = "flashed"

# Parts of a key's files, which --delete-keys deletes after a board has it.
KEYS = ("key.der",)


@dataclass
class Entry:
    """What became of one board; a line of the record.

    program  the digest of what was flashed besides the identity
    bytes    how much was written
    result   "flashed", or why not
    """

    utc: str
    registration_id: str
    mac: str
    thumbprint: str
    program: str
    bytes: int
    result: str


class Record:
    """The record: JSON, a line a board. One that was cut off by a power failure is left out.

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
        self._end = data.rfind(b"\n") + 1  # of the last whole line
        for number, line in enumerate(data[: self._end].splitlines(), 1):
            try:
                self.entries.append(Entry(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise ToolError(f"{path}, line {number}, is no record: mend it") from error

    def add(self, entry: Entry) -> None:
        """Keep an entry, on the disk. Raises ToolError."""
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

    def last(self, mac: str) -> Entry | None:
        """The last success with a board."""
        found = [one for one in self.entries if one.mac == mac and one.result == FLASHED]
        return found[-1] if found else None

    def done(self) -> set[str]:
        """The registration IDs that have their board."""
        return {one.registration_id for one in self.entries if one.result == FLASHED}


@dataclass
class Device:
    """A device's folder, and what a board is to have of it."""

    folder: Path
    registration_id: str
    thumbprint: str
    nvs: bytes

    @classmethod
    def load(cls, folder: Path, board: Board) -> "Device":
        """Read a folder as 'microdps config' makes it. Raises ToolError."""
        nvs = image.nvs(image.device_blobs(folder), board.nvs_size)
        try:
            name = device_config.load(str(folder / "config.json"))["registration_id"]
            leaf = next(Identity.from_files(str(slot_folder(folder, image.SLOT))).certs("cert"))
            thumbprint = x509.load_der_x509_certificate(leaf).fingerprint(hashes.SHA1()).hex()  # noqa: S303
        except (Error, ValueError) as error:
            raise ToolError(f"{folder}: {error}") from error
        return cls(folder, name, thumbprint, nvs)

    def delete_keys(self) -> None:
        """Delete this computer's copy of the private key."""
        for slot in SLOTS:
            for name in KEYS:
                (slot_folder(self.folder, slot) / name).unlink(missing_ok=True)


class Job:
    """What all boards of a run get.

    firmware  MicroPython's .bin; None: it is there already
    sources   .py files instead of .mpy
    """

    def __init__(self, board: Board, firmware: Path | None, release: str | None, sources: bool):
        self.board = board
        self._release = release
        self._firmware = image.firmware(firmware, board) if firmware else b""
        self._files = image.program_files(sources)
        self._lock = threading.Lock()
        self._programs: dict[int, bytes] = {}

    def parts(self, flash_size: int) -> dict[int, bytes]:
        """Offset → what goes there, the same for all devices. Raises ToolError."""
        board = self.board
        size = board.filesystem_size(flash_size, self._release)
        with self._lock:
            if size not in self._programs:
                self._programs[size] = image.littlefs(self._files, size, board.block_size)
        parts = image.around(self._firmware, board) if self._firmware else {}
        return parts | {board.filesystem: self._programs[size]}


def digest(parts: dict[int, bytes]) -> str:
    """What tells one firmware and program from another."""
    made = hashlib.sha256()
    for offset, content in sorted(parts.items()):
        made.update(offset.to_bytes(4, "big") + content)
    return made.hexdigest()


class Loader:
    """A board in its boot loader, by esptool's library. Raises ToolError for what goes wrong."""

    def __init__(self, port: str, board: Board, baud: int, stub: bool):
        from esptool.cmds import attach_flash, detect_chip, detect_flash_size, run_stub

        self.port = port
        self._esp: Any = None
        with self._faults("the board was left as it is"):
            self._esp = detect_chip(port, connect_attempts=3)
            chip = self._esp.CHIP_NAME.lower().replace("-", "")
            if chip != board.chip:
                self.close()
                raise ToolError(
                    f"{port} has an {self._esp.CHIP_NAME}, and {board.name} has an"
                    f" {board.chip.upper()}: choose the --board that it is"
                )
            self.mac = ":".join(f"{byte:02x}" for byte in self._esp.read_mac("BASE_MAC"))
            if stub:
                self._esp = run_stub(self._esp)
                if baud != self._esp.ESP_ROM_BAUD:
                    self._esp.change_baud(baud)
            attach_flash(self._esp)
            found = detect_flash_size(self._esp)
        size = int(found[:-2]) * boards.MEGABYTE if found and found.endswith("MB") else 0
        if size <= board.filesystem:
            self.close()
            raise ToolError(
                f"{port} has {found or 'unknown'} flash: {board.name} needs 4MB or more"
            )
        self.flash_size = size

    def differing(self, parts: dict[int, bytes]) -> dict[int, bytes]:
        """Those parts that are not in flash."""
        with self._faults("nothing was written"):
            return {
                offset: content
                for offset, content in parts.items()
                if self._esp.flash_md5sum(offset, len(content)) != _md5(content)
            }

    def write(self, parts: dict[int, bytes]) -> None:
        """Write parts, and compare what is there then."""
        from esptool.cmds import write_flash

        if not parts:
            return
        with self._faults("the board is half written"):
            write_flash(self._esp, sorted(parts.items()), compress=True)
        wrong = self.differing(parts)
        if wrong:
            raise ToolError(
                f"{self.port}: flash at {min(wrong):#x} is not what was written: flash again, with"
                " another cable or a lower --baud"
            )

    def restart(self) -> None:
        from esptool.cmds import reset_chip

        with self._faults("the board is flashed, and was not restarted"):
            reset_chip(self._esp, "hard-reset")

    def close(self) -> None:
        if self._esp:
            with contextlib.suppress(OSError):  # a port that is gone cannot be closed properly
                self._esp._port.close()

    @contextlib.contextmanager
    def _faults(self, state: str) -> Iterator[None]:
        from esptool.util import FatalError

        try:
            yield
        except (FatalError, OSError) as error:  # pyserial's errors are OSErrors
            self.close()
            text = " ".join(str(error).split())
            if self._esp is None and "could not open" in text.lower():
                busy = re.search("lock|Errno 1[16]|Access is denied", text)
                what = (
                    "is used by another program: end that" if busy else "is no port: see its name"
                )
                raise ToolError(f"{self.port} {what} ({text})") from error
            if self._esp is None:
                raise ToolError(
                    f"no board answers on {self.port}: hold its BOOT button while it resets, or"
                    f" try another cable ({text})"
                ) from error
            raise ToolError(
                f"the connection to {self.port} broke off, {state}: check the cable, and flash"
                f" again ({text})"
            ) from error


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324  what the boot loader computes


def flash(
    port: str, device: Device, job: Job, record: Record, again: bool, open_loader: Callable
) -> Entry:
    """Flash one board → its entry in the record.

    again        also a board that has an identity of another device
    open_loader  Loader, but for its port

    Raises ToolError; a failure is recorded as well.
    """
    entry = Entry("", device.registration_id, "", device.thumbprint, "", 0, "")
    try:
        loader = open_loader(port)
        try:
            entry.mac = loader.mac
            before = record.last(loader.mac)
            if before and before.registration_id != device.registration_id and not again:
                raise ToolError(
                    f"the board on {port} is {before.registration_id} already: take another, or"
                    " give --again"
                )
            common = job.parts(loader.flash_size)
            entry.program = digest(common)
            if before and before.program == entry.program:
                common = {}  # what has run has changed its file system
            parts = loader.differing(common) | {job.board.nvs: device.nvs}
            loader.write(parts)
            entry.bytes = sum(map(len, parts.values()))
            loader.restart()
        finally:
            loader.close()
        entry.result = FLASHED
    except ToolError as error:
        entry.result = str(error)
        raise
    finally:
        entry.utc = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        record.add(entry)
    return entry


def quiet(show: Progress) -> Any:
    """esptool's logger → nothing but the progress of each thread's own task."""
    from esptool.logger import TemplateLogger

    class Quiet(TemplateLogger):
        task = threading.local()

        def _nothing(self, *args, **kwargs) -> None:
            pass

        print = note = warning = error = stage = set_verbosity = warn = err = debug = _nothing

        def progress_bar(self, cur_iter, total_iters, *args, **kwargs) -> None:
            task = getattr(self.task, "number", None)
            if task is not None:
                show.update(task, completed=cur_iter, total=total_iters)

    return Quiet()


def run(ports: list[str], devices: list[Device], work: Callable, delete_keys: bool) -> list[str]:
    """Flash a device through each port, as many as there are of both → what failed, as sentences.

    work  flash(), but for its port and device
    """
    from esptool.logger import EspLog, log

    failed = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as show:
        before = EspLog.instance
        logger = quiet(show)
        log.set_logger(logger)

        def one(port: str, device: Device) -> Entry:
            logger.task.number = show.add_task(f"{port} {device.registration_id}", total=None)
            entry = work(port, device)
            if delete_keys:
                device.delete_keys()
            return entry

        try:
            with ThreadPoolExecutor(len(ports)) as pool:
                pairs = zip(ports, devices, strict=False)
                futures = [(port, pool.submit(one, port, device)) for port, device in pairs]
                for port, future in futures:
                    try:
                        entry = future.result()
                    except ToolError as error:
                        failed.append(str(error))
                        continue
                    print(
                        f"{port}: {entry.registration_id} is on {entry.mac}, {entry.bytes} bytes"
                    )
        finally:
            EspLog.instance = before
    return failed


def fetch(release: str, board: Board, folder: Path) -> Path:
    """MicroPython's firmware, by mpflash → its file. Raises ToolError."""
    command = shutil.which("mpflash")
    if not command:
        raise ToolError(
            "mpflash is not installed: 'pip install mpflash', or download the .bin from"
            f" https://micropython.org/download/{board.board}/ and give it with --firmware"
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [command, "download", "--version", release, "--board", board.name],
        env={**os.environ, "MPFLASH_FIRMWARE": str(folder.resolve())},
        capture_output=True,
        text=True,
    )
    found = sorted(folder.glob(f"**/{board.name}-v{release.lstrip('v')}*.bin"))
    if not found:
        why = " ".join((done.stdout + done.stderr).split())[-200:]
        raise ToolError(f"mpflash found no MicroPython {release} for {board.name}: {why}")
    return found[-1]


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "flash",
        help="put MicroPython, the program and an identity onto boards",
        description=__doc__,
        epilog="example: microdps flash /dev/ttyUSB0 --board ESP32_GENERIC --device device"
        " --firmware ESP32_GENERIC-v1.27.0.bin",
    )
    verb.add_argument("ports", nargs="+", metavar="PORT", help="serial ports, a board on each")
    image.add_board(verb, flash_size=False)
    verb.add_argument("--firmware", type=Path, help="MicroPython's .bin, if it is not there yet")
    verb.add_argument("--fetch", metavar="RELEASE", help="the same by mpflash, 1.27.0 for one")
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--device", type=Path, help="a device's folder, as 'microdps config' makes it"
    )
    which.add_argument(
        "--devices",
        type=Path,
        help="folder with the devices' folders: each port gets the next one that has no board yet",
    )
    verb.add_argument("--record", type=Path, default=RECORD, help="file (%(default)s)")
    verb.add_argument(
        "--delete-keys", action="store_true", help="delete key.der once it is flashed"
    )
    verb.add_argument(
        "--again", action="store_true", help="also a board that is another device already"
    )
    verb.add_argument("--baud", type=int, default=460800, help="(%(default)s)")
    verb.add_argument("--no-stub", action="store_true", help="by the chip's own boot loader alone")
    verb.add_argument("--py", action="store_true", help="sources instead of .mpy files")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> int:
    board = boards.load(args.board)
    record = Record(args.record)
    if args.device:
        if len(args.ports) > 1:
            raise ToolError("--device is for one board: give one port, or --devices")
        devices = [Device.load(args.device, board)]
    else:
        devices = _waiting(args.devices, record, board, len(args.ports))
        if not devices:
            print(f"{args.devices}: all devices have their boards")
            return 0
    if args.fetch:
        args.firmware = fetch(args.fetch, board, Path("build/firmware"))
    job = Job(board, args.firmware, args.micropython or args.fetch, args.py)

    def open_loader(port: str) -> Loader:
        return Loader(port, board, args.baud, not args.no_stub)

    def work(port: str, device: Device) -> Entry:
        return flash(port, device, job, record, args.again, open_loader)

    failed = run(args.ports, devices, work, args.delete_keys)
    for text in failed[:-1]:
        print(f"microdps: {text}", file=sys.stderr)
    if failed:
        raise ToolError(failed[-1])
    return 0


def _waiting(folder: Path, record: Record, board: Board, count: int) -> list[Device]:
    """The next devices without a board. Raises ToolError if there are no devices at all."""
    found = sorted(path.parent for path in folder.glob("*/config.json"))
    if not found:
        raise ToolError(
            f"{folder} has no devices' folders: make them with 'microdps config --out'"
        )
    done = record.done()
    waiting: list[Device] = []
    for path in found:
        if len(waiting) == count:
            break
        name = device_config.load(str(path / "config.json"))["registration_id"]
        if name not in done:
            waiting.append(Device.load(path, board))
    return waiting
