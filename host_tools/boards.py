"""Read boards/<BOARD>/board.toml: a board's chip, flash layout and LED.

boards/schema.json describes the file, and a test checks each board against it.
"""

import re
import tomllib
from dataclasses import dataclass

from . import BOARDS, ToolError

MEGABYTE = 0x100000

# From this MicroPython release on, the file system takes the rest of flash. Before, its size is
# fixed in the partition table.
REST_OF_FLASH = (1, 26)


@dataclass
class Board:
    """A board. Offsets and sizes are in bytes of its flash.

    name          the name of its folder: MicroPython's board name, a dash, the variant
    firmware      offset of MicroPython's .bin
    minimum       the oldest MicroPython release that is supported
    sizes         flash sizes that the board is sold with, the usual one first
    nvs           offset of the NVS partition
    filesystem    offset of the file system
    size_to_1_25  size of the file system up to MicroPython 1.25
    led           GPIO number of its LED; None if the program cannot drive one
    gc_heap       size in bytes of MicroPython's heap at the start
    psram         whether the official image uses PSRAM, so that there is enough memory
    rsa_ms        RSA key size in bits → the longest time that one operation takes, where known
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
    led: int | None
    gc_heap: int
    psram: bool
    rsa_ms: dict[int, int]
    notes: list[str]

    def flash_size(self, given: str | None) -> int:
        """The flash size in bytes. given: "8MB", for example; None: the usual size.

        Raises ToolError.
        """
        if given is None:
            return self.sizes[0]
        found = re.fullmatch(r"(\d+) ?MB", given, re.IGNORECASE)
        size = int(found[1]) * MEGABYTE if found else 0
        if size <= self.filesystem or size & (size - 1):
            raise ToolError(
                f"{self.name} has no flash of {given}: use one of"
                f" {', '.join(f'{size // MEGABYTE}MB' for size in self.sizes)}"
            )
        return size

    def filesystem_size(self, flash_size: int, release: str | None = None) -> int:
        """The size of the file system under a MicroPython release; None: the newest one.

        Raises ToolError if the release is invalid or too old, or its file system does not fit.
        """
        if release is None:
            return flash_size - self.filesystem
        found = re.match(r"v?(\d+)\.(\d+)", release)
        if not found:
            raise ToolError(f"{release!r} is not a MicroPython release: write it as 1.27.0")
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
        led=data.get("led"),
        gc_heap=data["memory"]["gc_heap"],
        psram=data["memory"]["psram"],
        rsa_ms={int(bits): ms for bits, ms in data.get("rsa_ms", {}).items()},
        notes=data["notes"],
    )
