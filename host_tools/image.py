"""microdps image: flash images for boards by the thousand.

One littlefs image with the program is the same for all boards; one small NVS image a device has
its identity and its config.json. The same input gives the same bytes.
"""

import argparse
import io
from pathlib import Path

from host_tools import FIRMWARE, ToolError, boards, deploy
from host_tools.boards import Board
from host_tools.certs import write_new
from host_tools.config import SLOTS, slot_folder
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config as device_config
from microdps.rollover import NAMESPACES

# Readable by every release: a newer one raises it at its first write.
DISK_VERSION = 0x00020000

# What flash is after it has been erased.
ERASED = b"\xff"

# Blocks for folders and for what littlefs keeps free; and how many more are tried.
SPARE = 8

# The generator wants a page of an NVS partition left for what the board writes.
RESERVED = 0x1000

SLOT = SLOTS[0]


def program_files(sources: bool = False) -> dict[str, bytes]:
    """What lies on a board that runs the program: path → content. Raises ToolError.

    The same as 'microdps deploy' leaves there: the program is in slot a.
    """
    files = {name: (FIRMWARE / name).read_bytes() for name in ("boot.py", "main.py", "app.py")}
    program = deploy.program(sources)
    slot = f"{deploy.PROGRAM.strip('/')}/{SLOT}"
    files |= {f"{slot}/{name}": content for name, content in program.items()}
    files[f"{slot}/{deploy.MANIFEST}"] = deploy.manifest(program)
    files[deploy.USE.strip("/")] = SLOT.encode()
    return files


def littlefs(files: dict[str, bytes], size: int, block_size: int) -> bytes:
    """A littlefs image with no more blocks than it takes, for a partition of that size in bytes.

    Raises ToolError if the files do not fit.
    """
    most = size // block_size
    count = min(most, sum(-(-len(content) // block_size) for content in files.values()) + SPARE)
    while (image := _littlefs(files, count, most, block_size)) is None:
        if count == most:
            raise ToolError(
                f"the program does not fit a file system of {size // 1024} kB: choose a larger"
                " flash"
            )
        count = min(most, count + SPARE)
    return image


def _littlefs(files: dict[str, bytes], count: int, most: int, block_size: int) -> bytes | None:
    """An image of count blocks, which grows to most once it is mounted; None if that is too few.

    littlefs spreads files over all blocks that it has, so it is given few, and more at the end.
    """
    from littlefs import LittleFS, LittleFSError

    made = LittleFS(block_size=block_size, block_count=count, disk_version=DISK_VERSION)
    try:
        for path in sorted(files):
            folder = path.rpartition("/")[0]
            if folder:
                made.makedirs(folder, exist_ok=True)
            with made.open(path, "wb") as file:
                file.write(files[path])
        made.context.buffer.extend(ERASED * block_size * (most - count))
        made.fs_grow(most)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise
        return None
    finally:
        made.unmount()
    return bytes(made.context.buffer[: count * block_size])


def device_blobs(folder: Path) -> dict[str, dict[str, bytes]]:
    """What a device's folder has for its NVS: namespace → key → blob. Raises ToolError, if a board
    could not use it."""
    path = folder / "config.json"
    try:
        device_config.load(str(path))
        blobs = {NAMESPACES[SLOT]: {"config": path.read_bytes()}}
        for slot in SLOTS:
            place = slot_folder(folder, slot)
            if slot == SLOT or place.exists():
                identity = Identity.from_files(str(place))
                parts = {part: identity.part(part) for part in ("key", "cert", "roots")}
                blobs.setdefault(NAMESPACES[slot], {}).update(parts)
    except Error as error:
        raise ToolError(f"{error}: 'microdps check {folder}' tells more") from error
    return blobs


def nvs(blobs: dict[str, dict[str, bytes]], size: int) -> bytes:
    """An image of the NVS partition. Raises ToolError if the blobs do not fit.

    Source of the format: ESP-IDF's own generator.
    """
    from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

    output = io.BytesIO()
    try:
        with generator.nvs_open(output, size - RESERVED, generator.Page.VERSION2) as made:
            for namespace, entries in blobs.items():
                generator.write_entry(made, namespace, "namespace", "", "")
                for key, blob in entries.items():
                    generator.write_entry(made, key, "data", "hex2bin", blob.hex())
        return output.getvalue()
    except generator.InsufficientSizeError as error:
        total = sum(len(blob) for entries in blobs.values() for blob in entries.values())
        raise ToolError(
            f"{total} bytes do not fit an NVS partition of {size // 1024} kB: give the device EC"
            " keys, a shorter chain or fewer roots"
        ) from error


def firmware(path: Path, board: Board) -> bytes:
    """MicroPython's firmware for a board. Raises ToolError if the file is none for its chip."""
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
            f"{path} is no firmware of MicroPython's for {board.name}: take the .bin of"
            f" https://micropython.org/download/{board.board}/ ({error})"
        ) from error
    if not fits:
        raise ToolError(f"{path} is for another chip than {chip}: take the .bin for {board.name}")
    if board.firmware + len(data) > board.filesystem:
        raise ToolError(
            f"{path} reaches into the file system of {board.name}: it is another build"
        )
    return data


def around(data: bytes, board: Board) -> dict[int, bytes]:
    """A firmware in the two parts that lie before and behind the NVS partition, offset → bytes:
    MicroPython's .bin spans it, and would erase it."""
    start, end = board.nvs - board.firmware, board.nvs + board.nvs_size
    return {board.firmware: data[:start], end: data[end - board.firmware :]}


def merge(parts: dict[int, bytes]) -> bytes:
    """One image of parts, offset → bytes, from the start of flash on."""
    merged = bytearray()
    for offset, content in sorted(parts.items()):
        merged += ERASED * (offset - len(merged)) + content
    return bytes(merged)


def add_board(verb, flash_size: bool = True) -> None:
    """The arguments that say what board it is; the size of flash may be asked of the board."""
    verb.add_argument("--board", required=True, metavar="BOARD", help=", ".join(boards.names()))
    if flash_size:
        verb.add_argument("--flash-size", metavar="SIZE", help="4MB for one (the usual size)")
    verb.add_argument(
        "--micropython",
        metavar="RELEASE",
        help="that will run there; up to 1.25 the file system lies differently (the newest)",
    )


def _size(args: argparse.Namespace, board: Board) -> int:
    return board.filesystem_size(board.flash_size(args.flash_size), args.micropython)


def _write(path: Path, content: bytes, force: bool) -> None:
    write_new(path.parent, {path.name: content}, force)
    print(f"{path}: {len(content)} bytes")


def _program(args: argparse.Namespace) -> None:
    board = boards.load(args.board)
    image = littlefs(program_files(args.py), _size(args, board), board.block_size)
    _write(args.out, image, args.force)


def _device(args: argparse.Namespace) -> None:
    board = boards.load(args.board)
    _write(args.out, nvs(device_blobs(args.folder), board.nvs_size), args.force)


def _merge(args: argparse.Namespace) -> None:
    board = boards.load(args.board)
    parts = around(firmware(args.firmware, board), board)
    parts[board.filesystem] = littlefs(program_files(), _size(args, board), board.block_size)
    if args.folder:
        parts[board.nvs] = nvs(device_blobs(args.folder), board.nvs_size)
    _write(args.out, merge(parts), args.force)


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "image",
        help="make flash images: the program, a device's identity, all in one",
        description=__doc__,
        epilog="example: microdps image program --board ESP32_GENERIC --out program.bin",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, function, text, example in (
        ("program", _program, "the file system with the program, for all boards", ""),
        ("device", _device, "the NVS partition with a device's identity and config", " device"),
        ("merge", _merge, "MicroPython, the program and a device in one file", " device"),
    ):
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Make an image: {text}.",
            epilog=f"example: microdps image {name}{example} --board ESP32_GENERIC"
            + (" --firmware ESP32_GENERIC.bin" if name == "merge" else "")
            + f" --out {name}.bin",
        )
        if name != "program":
            kind.add_argument(
                "folder",
                type=Path,
                nargs="?" if name == "merge" else None,
                help="device's folder, as 'microdps config' makes it",
            )
        add_board(kind)
        if name == "merge":
            kind.add_argument("--firmware", type=Path, required=True, help="MicroPython's .bin")
        if name == "program":
            kind.add_argument("--py", action="store_true", help="sources instead of .mpy files")
        # A device's image has its key in it: the name makes it its owner's alone.
        default = Path("program.bin" if name == "program" else f"{name}.key.bin")
        kind.add_argument("--out", type=Path, default=default, help="file (%(default)s)")
        kind.add_argument("--force", action="store_true", help="replace the file")
        kind.set_defaults(function=function)
