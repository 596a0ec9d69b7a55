"""Cut the power in the middle of every flash operation while a file is replaced. MicroPython only.

FIRMWARE FILE WRITES, where FILE is "state" or "journal", and WRITES says how often to write it

After each cut, MicroPython's own littlefs driver mounts the flash again. The file must be the old
one or the new one, and the next write must succeed. Prints the number of cuts.
"""

import sys

import vfs

sys.path.insert(0, sys.argv[1])

from microdps import state
from microdps.errors import LinkError
from microdps.program import journal

BLOCK = 512
BLOCKS = 64
OWNER = "owner"


class PowerCut(OSError):
    pass


class Flash:
    """A flash chip that loses power in the middle of its n-th write or erase."""

    def __init__(self, data, left=-1):
        self.data = data
        self.left = left

    def _whole(self, size):
        """The part of an operation that is done: all; half at the power cut; nothing after it."""
        if self.left < 0:
            return size
        if self.left == 0:
            raise PowerCut(5)
        self.left -= 1
        return size if self.left else size // 2

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        n = self._whole(len(buf))
        self.data[at : at + n] = buf[:n]
        if n < len(buf):
            raise PowerCut(5)

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            n = self._whole(BLOCK)
            self.data[arg * BLOCK : arg * BLOCK + n] = b"\xff" * n
            if n < BLOCK:
                raise PowerCut(5)
        return 0


def mounted(flash, function):
    """Call a function while the flash is mounted at /flash → its result; None after a cut."""
    files = vfs.VfsLfs2(flash)
    vfs.mount(files, "/flash")
    try:
        return function()
    except PowerCut:
        return None
    finally:
        try:
            vfs.umount("/flash")
        except OSError:
            pass


class State:
    path = "/flash/state.json"

    def write(self, i):
        state.save(self.path, OWNER, {"hub": "hub-%d.example" % i, "device_id": "d", "n": i})
        return True

    def read(self):
        return state.load(self.path, OWNER).get("n")


class Journal:
    """If the journal cannot write its file, it prints that and continues."""

    path = "/flash/errors.json"

    def write(self, i):
        journal.save(self.path, [journal.entry(LinkError("connect", "peer-%d" % i))])
        return True

    def read(self):
        entries = journal.load(self.path)
        return int(entries[-1]["where"].split("-")[1]) if entries else None


def main(file, saves):
    data = bytearray(BLOCK * BLOCKS)
    vfs.VfsLfs2.mkfs(Flash(data))
    mounted(Flash(data), lambda: file.write(0))
    cuts = 0
    for i in range(1, saves + 1):
        operation = 1
        while True:
            flash = Flash(bytearray(data), operation)
            mounted(flash, lambda i=i: file.write(i))
            done = flash.left > 0  # the write was complete before the cut
            after = flash.data
            found = mounted(Flash(after), file.read)
            assert found in ((i,) if done else (i - 1, i)), (i, operation, found)
            mounted(Flash(after), lambda i=i: file.write(i + 1000))
            assert mounted(Flash(after), file.read) == i + 1000, (i, operation)
            if done:
                break
            cuts += 1
            operation += 1
        mounted(Flash(data), lambda i=i: file.write(i))
    print("%d writes, %d cuts" % (saves, cuts))


main({"state": State, "journal": Journal}[sys.argv[2]](), int(sys.argv[3]))
