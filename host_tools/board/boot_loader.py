"""A board in its boot loader, through esptool's library: compare, write and restart."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from .. import ToolError
from ..boards import MEGABYTE, Board
from .ports import port_advice


class BootLoader:
    """A board in its boot loader. Raises ToolError for every problem with it.

    stub  run esptool's stub, which is faster than the chip's own boot loader
    """

    def __init__(self, port: str, board: Board, baud: int, stub: bool):
        from esptool.cmds import attach_flash, detect_chip, detect_flash_size, run_stub

        self.port = port
        self._esp: Any = None
        with self._tool_errors("the board was left as it is"):
            self._esp = detect_chip(port, connect_attempts=3)
            self._check_chip(board)
            self.mac = ":".join(f"{byte:02x}" for byte in self._esp.read_mac("BASE_MAC"))
            if stub:
                self._esp = run_stub(self._esp)
                if baud != self._esp.ESP_ROM_BAUD:
                    self._esp.change_baud(baud)
            attach_flash(self._esp)
            found = detect_flash_size(self._esp)
        size = int(found[:-2]) * MEGABYTE if found and found.endswith("MB") else 0
        if size <= board.filesystem:
            self.close()
            raise ToolError(
                f"{port} has {found or 'unknown'} flash: {board.name} needs 4MB or more"
            )
        self.flash_size = size

    def _check_chip(self, board: Board) -> None:
        chip = self._esp.CHIP_NAME.lower().replace("-", "")
        if chip != board.chip:
            self.close()
            raise ToolError(
                f"{self.port} has an {self._esp.CHIP_NAME}, and {board.name} has an"
                f" {board.chip.upper()}: give the --board that it is"
            )

    def differing(self, parts: dict[int, bytes]) -> dict[int, bytes]:
        """The parts, offset → bytes, that the flash does not have."""
        with self._tool_errors("nothing was written"):
            return {
                offset: content
                for offset, content in parts.items()
                if self._esp.flash_md5sum(offset, len(content)) != _md5(content)
            }

    def write(self, parts: dict[int, bytes]) -> None:
        """Write parts, and compare the flash with them."""
        from esptool.cmds import write_flash

        if not parts:
            return
        with self._tool_errors("the board is half written"):
            write_flash(self._esp, sorted(parts.items()), compress=True)
        wrong = self.differing(parts)
        if wrong:
            raise ToolError(
                f"{self.port}: flash at {min(wrong):#x} differs from the data that was written:"
                " flash again, with another cable or a lower --baud"
            )

    def restart(self) -> None:
        from esptool.cmds import reset_chip

        with self._tool_errors("the board is flashed, and was not restarted"):
            reset_chip(self._esp, "hard-reset")

    def close(self) -> None:
        if self._esp:
            with contextlib.suppress(OSError):  # closing fails if the port is gone
                self._esp._port.close()

    @contextlib.contextmanager
    def _tool_errors(self, outcome: str) -> Iterator[None]:
        """Turn esptool's exceptions into ToolErrors.

        outcome  the part of an error message that describes the board after the error
        """
        from esptool.util import FatalError

        try:
            yield
        except (FatalError, OSError) as error:  # pyserial's errors are OSErrors
            self.close()
            text = " ".join(str(error).split())
            if self._esp is None and "could not open" in text.lower():
                if re.search("lock|Errno 1[16]|Access is denied", text):
                    problem = "is used by another program: end that program"
                else:
                    problem = f"is not a port: {port_advice(self.port) or 'check its name'}"
                raise ToolError(f"{self.port} {problem} ({text})") from error
            if self._esp is None:
                raise ToolError(
                    f"no board answers on {self.port}: hold its BOOT button while it resets, or"
                    f" try another cable ({text})"
                ) from error
            raise ToolError(
                f"the connection to {self.port} broke off, {outcome}: check the cable, and flash"
                f" again ({text})"
            ) from error


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324  the boot loader computes MD5
