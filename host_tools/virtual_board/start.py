"""What a board does before its REPL, on MicroPython's Unix port: mount the flash at /, hide the
computer's files, run boot.py, then main.py. Arguments: flash file, stand-ins, "raw" or "friendly".

The bytes UP and DONE tell board.py how far it is; nobody else sees them.
"""

import os
import sys

import vfs  # type: ignore[import-not-found]

UP = "\x16"
DONE = "\x17"
BLOCK = 4096


class Flash:
    """Block device in a file. A write is the kernel's when it returns, so it survives a kill -9.

    There is no branch in any method: MicroPython raises KeyboardInterrupt at branches only, and
    littlefs must not be left in the middle of its work. An ESP32's flash driver, in C, is not.
    """

    def __init__(self, path):
        blocks = os.stat(path)[6] // BLOCK
        self._file = open(path, "r+b")  # noqa: SIM115  while the board runs
        # What ioctl returns for: init, deinit, sync, count of blocks, size of a block, erase.
        self._answers = (None, 0, 0, 0, blocks, BLOCK, 0)

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        return self._answers[operation]


def mount(flash, standins):
    """Leave nothing of the computer but the stand-ins, which are loaded already."""
    device = Flash(flash)
    sys.path[:] = [standins]
    for name in ("machine", "network", "esp32", "ntptime"):
        __import__(name)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(device), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def run(name) -> bool:
    """Run a file as a board does, if it is there → did it end well?"""
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


flash, standins, mode = sys.argv[1:]
del sys.argv[:]
mount(flash, standins)
sys.stdout.write(UP)
try:
    if run("boot.py") and mode == "friendly":
        run("main.py")
finally:
    sys.stdout.write(DONE)
