"""Cut the power in the middle of every flash operation while a file is replaced. MicroPython only.

FIRMWARE FILE WRITES, where FILE is "state" or "journal", and WRITES says how often to write it

After each cut, MicroPython's own littlefs driver mounts the flash again. The file must be the old
one or the new one, and the next write must succeed. Prints the number of cuts.
"""

import sys

import vfs

sys.path[:0] = [sys.argv[1], __file__.rsplit("/", 1)[0]]

from flash_chip import Flash, mounted

from microdps import state
from microdps.errors import LinkError
from microdps.program import journal

SIZE = 64 * 512
OWNER = "owner"


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
    data = bytearray(SIZE)
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
