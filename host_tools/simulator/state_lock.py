"""The lock on the folder of a simulator's state: one simulator at a time."""

import os
from pathlib import Path
from typing import IO

from .. import ToolError
from ..files import lock

NAME = "lock"


def lock_state(folder: Path) -> IO[str]:
    """Lock a folder until this process ends. The folder is made if it is missing.

    Returns the lock file, which must stay open. Raises ToolError if another process has the lock.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = open(folder / NAME, "a+", encoding="utf-8")  # noqa: SIM115  open until the end
    except OSError as error:
        raise ToolError(
            f"cannot keep the state in {folder}: {error.strerror}; give another folder with"
            " --state"
        ) from error
    try:
        lock(file, wait=False)
    except OSError as error:
        file.seek(0)
        holder = file.read(100).strip() or "another process"
        file.close()
        raise ToolError(
            f"another simulator has its state in {folder} ({holder}): stop it, or give another"
            " folder with --state"
        ) from error
    tell_holder(file)
    return file


def tell_holder(file: IO[str], text: str = "") -> None:
    """Write into the lock file who holds it. text: what the holder serves."""
    file.seek(0)
    file.truncate(0)
    file.write(f"process {os.getpid()}{text and f', {text}'}\n")
    file.flush()
