"""microdps image, flash, deploy, status and reset."""

import argparse
from pathlib import Path

from .. import ToolError, boards
from ..boards import Board
from ..device.program import compile_program

RECORD = Path("flashed.jsonl")


def _add_board(verb) -> None:
    verb.add_argument("--board", required=True, metavar="BOARD", help=", ".join(boards.names()))


def _add_release(verb) -> None:
    verb.add_argument(
        "--micropython",
        metavar="RELEASE",
        help="the board's MicroPython release; up to 1.25 the file system has another size (the"
        " newest)",
    )


def add_image_parser(add) -> None:
    verb = add(
        description="Make flash images. One littlefs image with the program is the same for all"
        " boards. One small NVS image for each device has its identity and its config.json. The"
        " same input always gives the same bytes.",
        epilog="example: microdps image program --board ESP32_GENERIC --out program.bin",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, function, text, example in (
        ("program", _image_program, "the file system with the program, for all boards", ""),
        (
            "device",
            _image_device,
            "the NVS partition with a device's identity and config",
            "device",
        ),
        (
            "devices",
            _image_devices,
            "an image as of 'device' for each device's folder of a folder",
            "devices",
        ),
        ("merge", _image_merge, "MicroPython, the program and a device in one file", "device"),
    ):
        words = [name, example, "--board ESP32_GENERIC"]
        words += ["--firmware ESP32_GENERIC.bin"] if name == "merge" else []
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Make an image: {text}.",
            epilog=f"example: microdps image {' '.join(filter(None, words))} --out"
            + (" images" if name == "devices" else f" {name}.bin"),
        )
        _add_image(kind, name)
        kind.set_defaults(function=function)


def _add_image(kind, name: str) -> None:
    if name != "program":
        kind.add_argument(
            "folder",
            type=Path,
            nargs="?" if name == "merge" else None,
            help="device's folder, as 'microdps config' makes it"
            if name != "devices"
            else "folder with the devices' folders",
        )
    _add_board(kind)
    kind.add_argument("--flash-size", metavar="SIZE", help="4MB, for example (the usual size)")
    _add_release(kind)
    if name == "merge":
        kind.add_argument("--firmware", type=Path, required=True, help="MicroPython's .bin")
    if name == "program":
        kind.add_argument("--py", action="store_true", help="sources instead of .mpy files")
    default = {"program": "program.bin", "devices": "images"}.get(name, f"{name}.key.bin")
    what = "folder, with a file ID.bin for each device" if name == "devices" else "file"
    kind.add_argument("--out", type=Path, default=Path(default), help=f"{what} (%(default)s)")
    kind.add_argument("--force", action="store_true", help="replace the file")


# What a verb needs is imported when it runs: so the help appears at once.


def _filesystem_size(args: argparse.Namespace, board: Board) -> int:
    return board.filesystem_size(board.flash_size(args.flash_size), args.micropython)


def _write(path: Path, content: bytes, force: bool, secret: bool) -> None:
    """secret: an image with an identity is readable by its owner only."""
    from ..files import write_files

    write_files(path.parent, {path.name: content}, force, secret)
    print(f"{path}: {len(content)} bytes")


def _image_program(args: argparse.Namespace) -> None:
    from . import image

    board = boards.load(args.board)
    files = image.program_files(args.py)
    content = image.littlefs_image(files, _filesystem_size(args, board), board.block_size)
    _write(args.out, content, args.force, secret=False)


def _image_device(args: argparse.Namespace) -> None:
    from . import image

    board = boards.load(args.board)
    content = image.nvs_image(image.device_blobs(args.folder), board.nvs_size)
    _write(args.out, content, args.force, secret=True)


def _image_devices(args: argparse.Namespace) -> None:
    from ..files import write_files
    from . import image
    from .flash_devices import all_devices

    board = boards.load(args.board)
    images = {
        f"{name}.bin": image.nvs_image(image.device_blobs(folder), board.nvs_size)
        for name, folder in all_devices(args.folder).items()
    }
    write_files(args.out, images, args.force, secret=True)
    print(f"{args.out}: {len(images)} images of {board.nvs_size} bytes")


def _image_merge(args: argparse.Namespace) -> None:
    from . import image

    board = boards.load(args.board)
    parts = image.split_around_nvs(image.read_firmware(args.firmware, board), board)
    size = _filesystem_size(args, board)
    files = image.program_files()
    parts[board.filesystem] = image.littlefs_image(files, size, board.block_size)
    if args.folder:
        parts[board.nvs] = image.nvs_image(image.device_blobs(args.folder), board.nvs_size)
    _write(args.out, image.merge(parts), args.force, secret=bool(args.folder))


def add_flash_parser(add) -> None:
    verb = add(
        description="Put MicroPython, the program and an identity onto boards, several ports at"
        " once. What a board already has is not written again. A record has a line for each board,"
        " so a run that failed can be started again. Without a port it lists the boards it sees.",
        epilog="example: microdps flash /dev/ttyUSB0 --board ESP32_GENERIC --device device"
        " --firmware ESP32_GENERIC-v1.27.0.bin",
    )
    verb.add_argument("ports", nargs="*", metavar="PORT", help="serial ports, a board on each")
    verb.add_argument("--all", action="store_true", help="all ports with a board")
    verb.add_argument("--board", metavar="BOARD", help=", ".join(boards.names()))
    _add_release(verb)
    verb.add_argument(
        "--firmware", type=Path, help="MicroPython's .bin, if the board does not have it yet"
    )
    verb.add_argument(
        "--fetch", metavar="RELEASE", help="download it with mpflash, 1.27.0 for example"
    )
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "--device", type=Path, help="a device's folder, as 'microdps config' makes it"
    )
    which.add_argument(
        "--devices",
        type=Path,
        help="folder with the devices' folders: each port gets the next device without a board",
    )
    _add_flash_options(verb)
    verb.set_defaults(function=_flash, usage_error=verb.error)


def _add_flash_options(verb) -> None:
    verb.add_argument("--record", type=Path, default=RECORD, help="file (%(default)s)")
    verb.add_argument(
        "--delete-keys",
        action="store_true",
        help="delete this computer's copies of the keys when a board has them",
    )
    verb.add_argument(
        "--again",
        action="store_true",
        help="also flash a board that is another device already; with --device, also a device"
        " that has a board already",
    )
    verb.add_argument("--baud", type=int, default=460800, help="(%(default)s)")
    verb.add_argument("--no-stub", action="store_true", help="use the chip's own boot loader only")
    verb.add_argument("--py", action="store_true", help="sources instead of .mpy files")


def _flash(args: argparse.Namespace) -> int:
    from .flash_record import Record
    from .flash_run import flash_ports
    from .ports import board_ports

    found = {} if args.ports else board_ports()
    if not args.ports and not args.all:
        print("\n".join(f"{port}  {text}" for port, text in found.items()))
        return 0
    if not args.board or not (args.device or args.devices):
        args.usage_error("--board, and one of --device and --devices, are required")
    ports = args.ports or list(found)
    board = boards.load(args.board)
    if args.device and len(ports) > 1:
        raise ToolError("--device is for one board: give one port, or --devices")
    record = Record(args.record)
    try:
        return flash_ports(args, ports, board, record)
    finally:
        record.close()


def add_deploy_parser(add) -> None:
    verb = add(
        description="Put the program on a board with MicroPython, changed files only, and restart"
        " it. The old program stays until the new one has sent its first message. app.py,"
        " config.json and the identity stay as they are, unless you ask for them.",
        epilog="example: microdps deploy /dev/ttyUSB0 --config device",
    )
    verb.add_argument("port", help="serial port, or socket://HOST:PORT")
    verb.add_argument(
        "--config",
        type=Path,
        metavar="FOLDER",
        help="replace config.json and the identity by those of a device's folder, as 'microdps"
        " config' makes it",
    )
    verb.add_argument("--app", action="store_true", help="replace app.py by firmware/app.py")
    verb.add_argument("--py", action="store_true", help="sources instead of .mpy files")
    verb.set_defaults(function=_deploy)


def _deploy(args: argparse.Namespace) -> None:
    from .deploy import deploy, device_files

    files = compile_program(args.py) | (device_files(args.config) if args.config else {})
    print(deploy(args.port, files, {}, args.app))


def add_status_parser(add) -> None:
    _add_call(add, "status", "show", "Print a board's assignment, certificate and last errors.")


def add_reset_parser(add) -> None:
    text = "Make a board forget its assignment, so that it registers again."
    _add_call(add, "reset", "reset", text)


def _add_call(add, name: str, function: str, text: str) -> None:
    verb = add(
        description=f"{text} The board's program is interrupted for it, and the board restarted.",
        epilog=f"example: microdps {name} /dev/ttyUSB0",
    )
    verb.add_argument("target", help="serial port, or a device's folder")
    verb.add_argument(
        "--no-restart", action="store_true", help="leave the board stopped, at its REPL"
    )
    verb.set_defaults(function=_status, on_board=function)


def _status(args: argparse.Namespace) -> None:
    from .status import call_on_board

    print(call_on_board(args.target, args.on_board, not args.no_restart), end="")


def add_monitor_parser(add) -> None:
    verb = add(
        description="Show what a board prints, until Ctrl-C. It sends nothing to the board: for"
        " its REPL, use 'mpremote connect PORT'.",
        epilog="example: microdps monitor /dev/ttyUSB0",
    )
    verb.add_argument("port", help="serial port, or socket://HOST:PORT")
    verb.add_argument("--baud", type=int, default=115200, help="(%(default)s)")
    verb.set_defaults(function=_monitor)


def _monitor(args: argparse.Namespace) -> None:
    from .monitor import monitor

    monitor(args.port, args.baud)
