"""A flash chip in memory whose power can be cut, and MicroPython's own littlefs on it."""

import vfs

# What a chip without power returns: EIO. It raises nothing, for what a cut has left open is closed
# by the garbage collector, which lets nothing be allocated.
_CUT = -5


class Flash:
    """A flash chip that loses power in the middle of its n-th write or erase, if n is not 0.

    left    operations until then; below 0: it never does
    erases  blocks that were erased
    """

    def __init__(self, data, left=0, block=512):
        self.data = data
        self.left = left or -1
        self.block = block
        self.erases = 0

    def part(self, size):
        """How much of an operation is done: all; half at the power cut; nothing after it."""
        if self.left < 0:
            return size
        if self.left:
            self.left -= 1
            return size if self.left else size // 2
        return 0

    def readblocks(self, block, buf, offset=0):
        if not self.left:
            return _CUT
        at = block * self.block + offset
        buf[:] = self.data[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        n = self.part(len(buf))
        if n:
            at = block * self.block + offset
            self.data[at : at + n] = buf[:n]
        return 0 if n == len(buf) else _CUT

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // self.block
        if op == 5:
            return self.block
        if op == 6:
            self.erases += 1
            n = self.part(self.block)
            if n:
                at = arg * self.block
                self.data[at : at + n] = b"\xff" * n
            return 0 if n == self.block else _CUT
        return 0


def mounted(flash, function):
    """Call a function while the flash is mounted at /flash → its result; None after a cut."""
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    try:
        return function()
    except OSError:
        if flash.left:
            raise
        return None
    finally:
        try:
            vfs.umount("/flash")
        except OSError:
            pass
