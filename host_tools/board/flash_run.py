"""One run of `microdps flash`: from its options to the results of all boards."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import ToolError
from ..boards import Board
from .boot_loader import BootLoader
from .firmware_download import download
from .flash import Attempt, Job
from .flash_devices import Device, devices_without_board, registration_id
from .flash_many import flash_all, plan
from .flash_record import Record


def flash_ports(args: Any, ports: list[str], board: Board, record: Record) -> int:
    """Flash a board at each port → exit code. args: the options of the command line.

    Raises ToolError.
    """
    if args.device:
        devices = {registration_id(args.device): args.device}
    else:
        devices = devices_without_board(args.devices, record)
        if not devices:
            print(f"{args.devices}: all devices have their boards")
            return 0
    attempts, unused = plan(ports, devices, args.again, bool(args.device))
    for attempt in attempts:  # what cannot be used is found before anything is written
        Device.load(next(iter(attempt.wanted.values())), board)
    if args.fetch:
        args.firmware = download(args.fetch, board, Path("build/firmware"))
    job = Job(board, args.firmware, args.micropython or args.fetch, args.py)

    def open_boot_loader(port: str) -> BootLoader:
        return BootLoader(port, board, args.baud, not args.no_stub)

    def run_one(attempt: Attempt, check_stop: Callable[[], None]) -> None:
        attempt.run(job, record, open_boot_loader, check_stop)

    errors = flash_all(attempts, record, run_one, not args.delete_keys)
    for port in unused:
        print(f"{port}: no device is left for it", file=sys.stderr)
    for text in errors[:-1]:
        print(f"microdps: {text}", file=sys.stderr)
    if errors:
        raise ToolError(errors[-1])
    return 0
