"""Write files whole, and keep secrets readable by their owner only."""

import os
import shutil
from pathlib import Path

from . import ToolError

# A file is secret if its name has one of these parts: key.der, root.key.pem, config.json (which
# may hold the Wi-Fi password).
SECRET_PARTS = {"key", "config"}


def write_files(folder: Path, files: dict[str, bytes], force: bool = False) -> None:
    """Write files into a folder, and make the folder if it is missing.

    files  name → content
    force  replace files that exist

    Each file is written under a temporary name; at the end all of them are renamed. So no file is
    ever half written, and a full disk leaves the old files as they were.

    Raises ToolError. If a file exists and force is not set, nothing is written.
    """
    existing = [str(folder / name) for name in files if (folder / name).exists()]
    if existing and not force:
        raise ToolError(f"{existing[0]} already exists: give --force to replace it")
    targets = {folder / f".{name}.new": folder / name for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for (temporary, target), content in zip(targets.items(), files.values(), strict=True):
                temporary.unlink(missing_ok=True)
                descriptor = os.open(
                    temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(target)
                )
                with open(descriptor, "wb") as file:
                    file.write(content)
            for temporary, target in targets.items():
                temporary.replace(target)
        finally:
            for temporary in targets:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ToolError(f"cannot write to {folder}: {error.strerror}") from error


def _mode(path: Path) -> int:
    return 0o644 if SECRET_PARTS.isdisjoint(path.name.split(".")) else 0o600


def write_folder(folder: Path, files: dict[str, bytes], force: bool = False) -> None:
    """Write a folder. If it is new, it appears with all of its files, or not at all.

    If the folder exists, this is write_files(). Raises ToolError.
    """
    if folder.exists():
        write_files(folder, files, force)
        return
    temporary = folder.with_name(f".{folder.name}~")  # no registration ID ends with ~
    try:
        if temporary.exists():
            shutil.rmtree(temporary)  # left by a run that was killed
        write_files(temporary, files)
        temporary.rename(folder)
    except OSError as error:
        raise ToolError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
