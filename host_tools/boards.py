"""What differs from board to board: boards/<BOARD>/board.toml, held by boards/schema.json."""

import re
import tomllib
from dataclasses import dataclass

from host_tools import CHECKOUT, ToolError

BOARDS = CHECKOUT / "boards"
MEGABYTE = 0x100000

# From this release on the file system is the rest of flash: no row of the partition table.
REST_OF_FLASH = (1, 26)


@dataclass
class Board:
    """A board. Offsets and sizes are bytes of its flash.

    name      of its folder: MicroPython's board, and a variant behind a dash
    firmware  where MicroPython's .bin goes
    sizes     of flash that it is sold with, the usual one first
    led       GPIO number of its LED; None: it has none that the program can drive
    gc_heap   bytes with which MicroPython's heap begins
    psram     does the official image use PSRAM? Then there is memory enough
    rsa_ms    bits of an RSA key → the most that one operation with it takes, where that is known
    """

    name: str
    board: str
    variant: str
    chip: str
    firmware: int
    minimum: str
    sizes: list[int]
    nvs: int
    nvs_size: int
    filesystem: int
    block_size: int
    size_to_1_25: int
    gc_heap: int
    psram: bool
    led: int | None
    rsa_ms: dict[int, int]
    notes: list[str]

    def flash_size(self, given: str | None) -> int:
        """What was asked for, "8MB" for one; else the usual size. Raises ToolError."""
        if given is None:
            return self.sizes[0]
        found = re.fullmatch(r"(\d+) ?MB", given, re.IGNORECASE)
        size = int(found[1]) * MEGABYTE if found else 0
        if size <= self.filesystem or size & (size - 1):
            raise ToolError(
                f"{given} is no size of flash for {self.name}: use one of"
                f" {', '.join(f'{size // MEGABYTE}MB' for size in self.sizes)}"
            )
        return size

    def filesystem_size(self, flash_size: int, release: str | None = None) -> int:
        """How large the file system is, for a release of MicroPython, the newest if not given.

        Raises ToolError if the release is none, too old, or its file system does not fit.
        """
        if release is None:
            return flash_size - self.filesystem
        found = re.match(r"v?(\d+)\.(\d+)", release)
        if not found:
            raise ToolError(f"{release!r} is no release of MicroPython: write it as 1.27.0")
        version = (int(found[1]), int(found[2]))
        if version < tuple(map(int, self.minimum.split(".")[:2])):
            raise ToolError(f"MicroPython {release} is too old: use {self.minimum} or newer")
        if version >= REST_OF_FLASH:
            return flash_size - self.filesystem
        if self.filesystem + self.size_to_1_25 > flash_size:
            raise ToolError(
                f"flash of {flash_size // MEGABYTE} MB is too small for MicroPython {release} on"
                f" {self.name}: use MicroPython 1.26 or newer"
            )
        return self.size_to_1_25


def names() -> list[str]:
    return sorted(path.parent.name for path in BOARDS.glob("*/board.toml"))


def load(name: str) -> Board:
    """Read a board's file. Raises ToolError if there is no such board."""
    path = BOARDS / name / "board.toml"
    if name not in names():
        raise ToolError(f"there is no board {name!r}: choose one of {', '.join(names())}")
    data = tomllib.loads(path.read_text())
    return Board(
        name=name,
        board=data["board"],
        variant=data["variant"],
        chip=data["chip"],
        firmware=data["firmware"]["offset"],
        minimum=data["firmware"]["minimum"],
        sizes=data["flash"]["sizes"],
        nvs=data["nvs"]["offset"],
        nvs_size=data["nvs"]["size"],
        filesystem=data["filesystem"]["offset"],
        block_size=data["filesystem"]["block_size"],
        size_to_1_25=data["filesystem"]["size_to_1_25"],
        gc_heap=data["memory"]["gc_heap"],
        psram=data["memory"]["psram"],
        led=data.get("led"),
        rsa_ms={int(bits): ms for bits, ms in data.get("rsa_ms", {}).items()},
        notes=data["notes"],
    )
