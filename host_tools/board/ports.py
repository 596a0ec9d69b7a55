"""The serial ports of this computer: which of them may have a board, and why one does not open."""

import os
import sys
from pathlib import Path

from serial.tools import list_ports  # type: ignore[import-untyped]

from .. import ToolError


def board_ports() -> dict[str, str]:
    """The USB serial ports: name → what the port says of itself. Raises ToolError if none is."""
    found = {
        port.device: f"{port.description} ({port.vid:04x}:{port.pid:04x})"
        for port in sorted(list_ports.comports())
        if port.vid is not None and port.pid is not None
    }
    if not found:
        raise ToolError(
            "no board at a USB port: plug it in with a data cable, install its USB driver, or name"
            " its port"
        )
    return found


def port_advice(port: str) -> str:
    """Why a port may not open, and what to do; "" if nothing is known."""
    if "://" in port or os.name != "posix" or not port.startswith("/"):
        return ""
    path = Path(port)
    if not path.exists():
        group = "; on Linux, you need the group dialout to open it" if _is_linux() else ""
        return f"there is no such port; plug the board in, 'microdps flash' lists the ports{group}"
    if not os.access(path, os.R_OK | os.W_OK):
        if _is_linux():
            return (
                f"you may not open it; join its group with 'sudo usermod -aG {_group(path)}"
                " $USER', and log in again"
            )
        return "you may not open it; check its owner and mode"
    return ""


def _is_linux() -> bool:
    return sys.platform == "linux"


def _group(path: Path) -> str:
    """The group of a port; dialout on most Linux systems."""
    try:
        group = path.group()
    except (KeyError, OSError):
        return "dialout"
    return "dialout" if group == "root" else group
