"""Cut the power in the middle of every flash operation of an outbox. MicroPython only.

FIRMWARE MESSAGES, where MESSAGES says how many are queued, delivered and dropped

After each cut, MicroPython's own littlefs driver mounts the flash again. Every message that was
there before the operation, and is there after it, must be there; and the next one can be queued.
Prints the number of cuts. Then, for a file system of 2 MB, the blocks that so many messages
erase, each delivered at once, and in batches of ten.
"""

import json
import sys

import vfs

sys.path[:0] = [sys.argv[1], __file__.rsplit("/", 1)[0]]

from flash_chip import Flash, mounted

from microdps.outbox.batch import Batch
from microdps.outbox.files import Outbox, OutboxError
from microdps.session import Session

SIZE = 64 * 512
MOST = 12 * 1024


def outbox(most=MOST):
    session = Session(("dps", "0ne1", "device-01"), 1000, "https", None, bytearray(256))
    return Outbox("/flash/outbox", session, lambda: 0, most)


def numbers():
    """The numbers of the messages that wait."""
    box = outbox()
    found = []
    for number in range(box.first, box.last + 1):
        for file, length, _, _, _ in box.messages(number):
            if length:
                found.append(int(json.loads(file.read(length))["properties"]["iothub-messageid"]))
    return found


def queue(number):
    """Keep a message; every fifth is large."""
    data = b"x" * (900 if number % 5 == 0 else 120)
    try:
        outbox().queue(data, None, {"message_id": str(number)})
    except OutboxError:
        pass  # the power was cut
    return True


def deliver(count):
    """The hub has accepted the oldest messages."""
    box = outbox()
    batch = Batch(box, count)
    box.delivered(batch.number, batch.at)
    return True


def cut_everywhere(data, action):
    """Do an action on a copy of the flash, cut at its first operation, its second … → cuts."""
    before = mounted(Flash(data), numbers)
    whole = bytearray(data)
    mounted(Flash(whole), action)
    after = mounted(Flash(whole), numbers)
    operation = 1
    while True:
        flash = Flash(bytearray(data), operation)
        mounted(flash, action)
        if flash.left > 0:  # the action was complete before the cut
            data[:] = whole
            return operation - 1
        found = mounted(Flash(flash.data), numbers)
        for number in found:
            assert number in before or number in after, (operation, number)
        for number in before:
            assert number in found or number not in after, (operation, number)
        assert found == sorted(found)
        mounted(Flash(flash.data), lambda: queue(1_000_001))
        assert mounted(Flash(flash.data), numbers)[-1] == 1_000_001
        operation += 1


def cuts(messages):
    data = bytearray(SIZE)
    vfs.VfsLfs2.mkfs(Flash(data))
    count = 0
    for number in range(1, messages + 1):
        count += cut_everywhere(data, lambda number=number: queue(number))
        if number % 40 == 13:
            count += cut_everywhere(data, lambda: deliver(7))
        elif number % 40 == 20:
            count += cut_everywhere(data, lambda: deliver(100))
    return count


def erases(messages, batch):
    """Blocks that are erased on a file system of 2 MB, in blocks of 4096 bytes."""
    flash = Flash(bytearray(512 * 4096), 0, 4096)
    vfs.VfsLfs2.mkfs(flash)
    flash.erases = 0

    def life():
        box = outbox(65_536)
        for number in range(messages):
            box.queue(b'{"temperature": 21.5, "humidity": 40}')
            if number % batch == batch - 1:
                done = Batch(box, 1000)
                box.delivered(done.number, done.at)

    mounted(flash, life)
    return flash.erases


def main(messages):
    print("%d messages, %d cuts" % (messages, cuts(messages)))
    print("erases: %d at once, %d in batches" % (erases(messages, 1), erases(messages, 10)))


main(int(sys.argv[2]))
