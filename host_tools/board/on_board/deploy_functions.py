"""Functions that run on the board during a deploy, on MicroPython.

raw_repl.py sends this file to the board, calls its functions, and reads the lines that they print.
"""

import sys

# Printed before the other imports, so that a firmware without these modules can be told apart.
print(repr(tuple(sys.implementation[:2])))  # type: ignore[index]

import binascii
import hashlib
import os

_FOLDER = 0x4000
_buffer = bytearray(512)


def exists(path: str) -> bool:
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def is_folder(path: str) -> bool:
    return os.stat(path)[0] & _FOLDER != 0


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            n = file.readinto(_buffer)
            if not n:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(memoryview(_buffer)[:n])


def show(path: str) -> None:
    """Print a line for each file at or below a path: "file", its SHA-256, its path."""
    if not exists(path):
        return
    if not is_folder(path):
        print("file", sha256(path), path)
        return
    for entry in os.ilistdir(path):
        show(path + "/" + entry[0])


def report(paths: list, use_file: str) -> None:
    """Print the state for a deploy: the files, the slot in use, a program outside of the slots,
    and the free bytes of the file system."""
    for path in paths:
        show(path)
    if exists(use_file):
        with open(use_file) as file:
            print("use", file.read())
    if exists("/microdps") or exists("/lib/microdps"):
        print("unslotted")
    numbers = os.statvfs("/")
    print("free", numbers[1] * numbers[3])


def copy(source: str, target: str) -> None:
    with open(source, "rb") as old, open(target, "wb") as new:
        while True:
            n = old.readinto(_buffer)
            if not n:
                return
            new.write(memoryview(_buffer)[:n])


def make_folders(path: str) -> None:
    """Make the folders in a path: each part that ends with a slash."""
    end = path.find("/", 1)
    while end > 0:
        if not exists(path[:end]):
            os.mkdir(path[:end])
        end = path.find("/", end + 1)


def remove(path: str) -> None:
    """Remove a file, or a folder and everything in it, if it exists."""
    if not exists(path):
        return
    if is_folder(path):
        for entry in os.ilistdir(path):
            remove(path + "/" + entry[0])
        os.rmdir(path)
    else:
        os.remove(path)


def replace(path: str, text: str) -> None:
    """Write a text file so that it is never half written."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)
