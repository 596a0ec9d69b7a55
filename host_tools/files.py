"""Write files whole, keep secrets readable by their owner only, and lock files."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from . import ToolError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

# A file is secret if its name has one of these parts: key.der, root.key.pem, config.json (which
# may hold the Wi-Fi password).
SECRET_PARTS = {"key", "config"}

# A file is secret if it holds one of these, whatever its name is: a key in PEM; a key in DER, by
# its first bytes (SEC1, PKCS#1 and PKCS#8); a connection string; a password in JSON.
SECRET_TEXTS = re.compile(rb'PRIVATE KEY-----|SharedAccessKey=|"password"\s*:')
SECRET_DER = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01][\x02\x04\x30]", re.DOTALL
)

# Where the lock of a file is on Windows, which keeps others from reading locked bytes.
WINDOWS_LOCK_AT = 0x7FFF0000


def write_files(
    folder: Path, files: dict[str, bytes], force: bool = False, secret: bool = False
) -> None:
    """Write files into a folder, and make the folder if it is missing.

    files   name → content; a name may have folders in it
    force   replace files that exist
    secret  only the owner may read them; otherwise the name and the content decide

    Each file is written under a temporary name; at the end all of them are renamed. So no file is
    ever half written, and a full disk leaves the old files as they were.

    Raises ToolError. If a file exists and force is not set, nothing is written.
    """
    existing = [str(folder / name) for name in files if (folder / name).exists()]
    if existing and not force:
        raise ToolError(f"{existing[0]} already exists: give --force to replace it")
    targets = {_temporary(folder / name): folder / name for name in files}
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for (temporary, target), content in zip(targets.items(), files.values(), strict=True):
                temporary.unlink(missing_ok=True)
                _write(temporary, content, secret or is_secret(target.name, content))
            for temporary, target in targets.items():
                temporary.replace(target)
        except BaseException:
            for temporary in targets:
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ToolError(f"cannot write to {folder}: {error.strerror}") from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _write(path: Path, content: bytes, secret: bool) -> None:
    """Write a new file, and make its folder if it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    mode = 0o600 if secret else 0o644
    try:
        descriptor = os.open(path, flags, mode)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, mode)
    with open(descriptor, "wb") as file:
        file.write(content)


def is_secret(name: str, content: bytes) -> bool:
    """Does a file hold a key, a password or a connection string, by its name or its content?"""
    if not SECRET_PARTS.isdisjoint(name.split(".")):
        return True
    return bool(SECRET_DER.match(content) or SECRET_TEXTS.search(content))


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
        temporary.mkdir(parents=True)
        for name, content in files.items():
            _write(temporary / name, content, is_secret(name.rpartition("/")[2], content))
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ToolError(f"cannot write to {folder}: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def lock(file: IO[Any], wait: bool = True) -> None:
    """Lock an open file until it is closed, or until the process ends, however that ends.

    wait  until nobody else holds it; otherwise raise BlockingIOError
    """
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        _lock_on_windows(file, wait)


@contextlib.contextmanager
def locked(file: IO[Any], wait: bool = True) -> Iterator[None]:
    """Hold the lock of an open file, which may stay open afterwards. wait: as for lock()."""
    lock(file, wait)
    try:
        yield
    finally:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_UN)
        else:
            file.seek(WINDOWS_LOCK_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]


def _lock_on_windows(file: IO[Any], wait: bool) -> None:
    mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
    while True:
        file.seek(WINDOWS_LOCK_AT)
        try:
            msvcrt.locking(file.fileno(), mode, 1)  # type: ignore[attr-defined]
            return
        except OSError as error:  # LK_LOCK gives up after 10 s
            if not wait:
                raise BlockingIOError(error.errno, error.strerror) from error
