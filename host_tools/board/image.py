"""Make flash images: the program in a littlefs, a device's identity in NVS, all in one file.

The program image is the same for all boards. The NVS image is small, and each device has its own.
The same input always gives the same bytes.
"""

import io
import json
from pathlib import Path

from microdps.errors import Error, IdentityError
from microdps.identity import Identity
from microdps.program import config as device_config
from microdps.rollover import NAMESPACES

from .. import FIRMWARE, ToolError
from ..boards import Board
from ..certs.slots import SLOTS, slot_folder, used_slots
from ..device.program import (
    APP,
    MANIFEST,
    PROGRAM,
    START_FILES,
    USE,
    compile_program,
    digest,
    manifest,
)

# Every MicroPython release can read this littlefs version. A newer release raises it when it
# writes for the first time.
DISK_VERSION = 0x00020000

# The value of a flash byte after it has been erased.
ERASED = b"\xff"

# Blocks for folders and for littlefs itself; also by how many blocks a new attempt is larger.
SPARE_BLOCKS = 8

# The NVS generator leaves one page of the partition free for writes of the board.
NVS_RESERVED = 0x1000

SLOT = SLOTS[0]


def program_files(sources: bool = False) -> dict[str, bytes]:
    """The files of a board with the program in slot a: path → content. Raises ToolError.

    'microdps deploy' leaves the same files on a new board.
    """
    files = {name: (FIRMWARE / name).read_bytes() for name in (*START_FILES, APP)}
    program = compile_program(sources)
    slot = f"{PROGRAM.strip('/')}/{SLOT}"
    files |= {f"{slot}/{name}": content for name, content in program.items()}
    files[f"{slot}/{MANIFEST}"] = manifest(
        {name: digest(content) for name, content in program.items()}
    )
    files[USE.strip("/")] = SLOT.encode()
    return files


def littlefs_image(files: dict[str, bytes], size: int, block_size: int) -> bytes:
    """A littlefs image, as short as possible, for a partition of that size in bytes.

    Raises ToolError if the files do not fit.
    """
    limit = size // block_size
    needed = sum(-(-len(content) // block_size) for content in files.values())
    count = min(limit, needed + SPARE_BLOCKS)
    while (image := _littlefs(files, count, limit, block_size)) is None:
        if count == limit:
            raise ToolError(
                f"the program does not fit a file system of {size // 1024} kB: use a larger flash"
            )
        count = min(limit, count + SPARE_BLOCKS)
    return image


def _littlefs(files: dict[str, bytes], count: int, limit: int, block_size: int) -> bytes | None:
    """An image of count blocks, grown to limit blocks; None if count blocks are too few.

    littlefs spreads files over all of its blocks. So it gets few blocks at first, and the others
    when all files are written.
    """
    from littlefs import LittleFS, LittleFSError

    fs = LittleFS(block_size=block_size, block_count=count, disk_version=DISK_VERSION)
    try:
        for path in sorted(files):
            folder = path.rpartition("/")[0]
            if folder:
                fs.makedirs(folder, exist_ok=True)
            with fs.open(path, "wb") as file:
                file.write(files[path])
        fs.context.buffer.extend(ERASED * block_size * (limit - count))
        fs.fs_grow(limit)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        return None
    finally:
        fs.unmount()
    return bytes(fs.context.buffer[: count * block_size])


def device_blobs(folder: Path) -> dict[str, dict[str, bytes]]:
    """The NVS content for a device's folder: namespace → key → blob.

    Raises ToolError if a board could not use it.
    """
    try:
        blobs = {NAMESPACES[SLOT]: {"config": _read_config(folder / "config.json")}}
        for slot in used_slots(folder):
            parts = _read_identity(slot_folder(folder, slot))
            blobs.setdefault(NAMESPACES[slot], {}).update(parts)
    except Error as error:
        raise ToolError(f"{error} See 'microdps check {folder}'.") from error
    return blobs


def _read_config(path: Path) -> bytes:
    """The content of a config.json, checked. It is read once. Raises ConfigError."""
    try:
        content = path.read_bytes()
        given = json.loads(content)
    except OSError as error:
        raise device_config.ConfigError("missing", str(path)) from error
    except ValueError as error:
        raise device_config.ConfigError("json", str(path)) from error
    device_config.check(given, str(path))
    return content


def _read_identity(folder: Path) -> dict[str, bytes]:
    """key, cert and roots of a folder, checked. Each file is read once. Raises IdentityError."""
    parts = {}
    for name in ("key", "cert", "roots"):
        path = folder / f"{name}.der"
        try:
            parts[str(path)] = path.read_bytes()
        except OSError as error:
            raise IdentityError("missing", str(path)) from error
    Identity(lambda name: io.BytesIO(parts[name]), str(folder / "%s.der"))
    return dict(zip(("key", "cert", "roots"), parts.values(), strict=True))


def nvs_image(blobs: dict[str, dict[str, bytes]], size: int) -> bytes:
    """An image of the NVS partition. Raises ToolError if the blobs do not fit.

    Source of the format: ESP-IDF's own generator.
    """
    from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

    output = io.BytesIO()
    try:
        with generator.nvs_open(output, size - NVS_RESERVED, generator.Page.VERSION2) as nvs:
            for namespace, entries in blobs.items():
                generator.write_entry(nvs, namespace, "namespace", "", "")
                for key, blob in entries.items():
                    generator.write_entry(nvs, key, "data", "hex2bin", blob.hex())
        return output.getvalue()
    except generator.InsufficientSizeError as error:
        total = sum(len(blob) for entries in blobs.values() for blob in entries.values())
        raise ToolError(
            f"{total} bytes do not fit an NVS partition of {size // 1024} kB: give the device EC"
            " keys, a shorter chain or fewer roots"
        ) from error


def read_firmware(path: Path, board: Board) -> bytes:
    """MicroPython's .bin for a board. Raises ToolError if the file is not for its chip."""
    from esptool.bin_image import LoadFirmwareImage
    from esptool.util import FatalError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    chip = board.chip
    try:
        image = LoadFirmwareImage(chip, data)
        fits = getattr(image, "chip_id", None) in (None, image.ROM_LOADER.IMAGE_CHIP_ID)
    except (FatalError, ValueError, IndexError) as error:
        raise ToolError(
            f"{path} is not a MicroPython firmware for {board.name}: use the .bin from"
            f" https://micropython.org/download/{board.board}/ ({error})"
        ) from error
    if not fits:
        raise ToolError(f"{path} is for another chip than {chip}: use the .bin for {board.name}")
    if board.firmware + len(data) > board.filesystem:
        raise ToolError(
            f"{path} overlaps the file system of {board.name}: use the .bin for this board"
        )
    return data


def split_around_nvs(firmware: bytes, board: Board) -> dict[int, bytes]:
    """The parts of a firmware before and after the NVS partition: offset → bytes.

    MicroPython's .bin covers the NVS partition, and would erase it.
    """
    start, end = board.nvs - board.firmware, board.nvs + board.nvs_size
    return {board.firmware: firmware[:start], end: firmware[end - board.firmware :]}


def merge(parts: dict[int, bytes]) -> bytes:
    """One image of parts, offset → bytes. It begins at offset 0."""
    merged = bytearray()
    for offset, content in sorted(parts.items()):
        merged += ERASED * (offset - len(merged)) + content
    return bytes(merged)
