"""Download MicroPython's firmware with mpflash, if that is installed."""

import os
import shutil
import subprocess
from pathlib import Path

from .. import ToolError
from ..boards import Board


def download(release: str, board: Board, folder: Path) -> Path:
    """Download a release for a board into a folder → the .bin file. Raises ToolError."""
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
