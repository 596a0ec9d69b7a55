"""Starts the virtual board on MicroPython's Unix port, as a board starts before its REPL.

It mounts the flash at /, hides the computer's files, and runs boot.py, then main.py.
Arguments: flash file, folder of the fake modules, "raw" or "friendly".
board.py reads the bytes STARTED and FINISHED; nobody else sees them.
"""

import os
import sys

import vfs  # type: ignore[import-not-found]

STARTED = "\x16"
FINISHED = "\x17"
BLOCK = 4096


class Flash:
    """Block device in a file. When a write returns, the kernel has it, so it survives a kill -9.

    No method has a branch: MicroPython raises KeyboardInterrupt at branches only, and littlefs
    must not be interrupted in the middle of its work. An ESP32's flash driver is in C, and is not
    interrupted either.
    """

    def __init__(self, path):
        blocks = os.stat(path)[6] // BLOCK
        self._file = open(path, "r+b")  # noqa: SIM115  open while the board runs
        # The results of ioctl: init, deinit, sync, count of blocks, size of a block, erase.
        self._answers = (None, 0, 0, 0, blocks, BLOCK, 0)

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        return self._answers[operation]


def mount(flash, fake_modules):
    """Mount the flash at /, and leave nothing of the computer but the fake modules, loaded now."""
    device = Flash(flash)
    sys.path[:] = [fake_modules]
    for name in ("machine", "network", "esp32", "ntptime"):
        __import__(name)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(device), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def run(name) -> bool:
    """Run a file if it exists, as a board does → False if it raised an exception."""
    try:
        if name in os.listdir():
            execfile(name, globals())  # type: ignore[name-defined]  # noqa: F821
        return True
    except SystemExit:
        os.system("kill -TERM $PPID")  # noqa: S605  a soft reset, as on a board
        raise
    except BaseException as error:
        sys.print_exception(error)  # type: ignore[attr-defined]
        return False


flash, fake_modules, mode = sys.argv[1:]
del sys.argv[:]
mount(flash, fake_modules)
sys.stdout.write(STARTED)
try:
    if run("boot.py") and mode == "friendly":
        run("main.py")
finally:
    sys.stdout.write(FINISHED)
