"""Several messages as the body of one request, streamed from flash.

Source: Azure REST reference, IoT Hub, "Send Device Event".
"""

from micropython import const

from microdps.outbox.item import ending
from microdps.outbox.naming import clock

FIELDS = b"Content-Type: application/vnd.microsoft.iothub.json\r\n"

# A hub takes 256 KB, and counts less of a message than is sent of it.
_MOST = const(261_120)


class Batch:
    """The oldest messages of an outbox. len() gives the bytes of the body.

    most    messages at most; fewer if the hub would not take them
    start   (number of a file, place in it) of the first one
    count   how many they are
    number, at  of the file in which the last one lies, and the place behind it
    """

    def __init__(self, outbox, most: int):
        self.outbox = outbox
        self.start = outbox.first, outbox.at
        now = clock()
        self.start_s = now and now - outbox.now() // 1000
        self.count = 0
        self.size = 1
        self.number, self.at = outbox.first, outbox.at
        for number, _, length, seconds, run, end in self.messages():
            if length:
                size = length - 1 + len(ending(outbox, self.start_s, seconds, run))
                if self.count == most or (self.count and self.size + size > _MOST):
                    break
                self.size += size
                self.count += 1
            else:
                outbox.damaged += 1
                outbox.tell(outbox.name(number), "passed over what is damaged")
            self.number, self.at = number, end

    def messages(self):
        """What Outbox.messages() yields, of all files, each with the file's number before it."""
        outbox = self.outbox
        at = outbox.at
        for number in range(outbox.first, outbox.last + 1):
            for message in outbox.messages(number, at):
                yield (number,) + message
            at = 0

    def __len__(self) -> int:
        return self.size

    def pieces(self, view):
        """The body, piece by piece, each in the buffer."""
        n = 0
        left = self.count
        between = b"["
        for _, file, length, seconds, run, _ in self.messages():
            if not length:
                continue
            tail = ending(self.outbox, self.start_s, seconds, run)
            if n + 1 + len(tail) > len(view):
                yield view[:n]
                n = 0
            view[n : n + 1] = between
            n += 1
            between = b","
            length -= 2
            while length:
                if n == len(view):
                    yield view
                    n = 0
                got = file.readinto(view[n : n + min(length, len(view) - n)])
                if not got:
                    raise OSError(self.outbox.path)
                n += got
                length -= got
            if n + len(tail) + 1 > len(view):
                yield view[:n]
                n = 0
            view[n : n + len(tail)] = tail
            n += len(tail)
            left -= 1
            if not left:
                break
        view[n : n + 1] = b"]"
        yield view[: n + 1]
