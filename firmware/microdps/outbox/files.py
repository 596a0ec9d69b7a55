"""Messages that wait on flash until the hub has accepted them.

    device.queue({"temperature": 21.5})    returns when the message lies on flash
    device.flush()                         delivers what waits, oldest first

They lie in a folder, in files of about a block that are numbered: 0, 1, 2 … Each message is one
append. A file begins with a line that names its format and its owner. Each message begins with
0x01 0x0A, which stand in no JSON, so that the next whole one is found behind one that is damaged.
There follow its length, when it was queued, a CRC-32 of these and of the item, and the item: the
message as a batch has it (item.py). A file is deleted when the hub has accepted all of it. What is
delivered twice, as after a power cut, bears the same message ID.
"""

import binascii
import os
import struct

from micropython import const

from microdps.errors import Error
from microdps.outbox.item import encode
from microdps.outbox.naming import named, run

# Magic number, length, seconds, run, CRC-32 of the 12 bytes before it and of the item. A run that
# is not 0: the clock was not set, and the message was queued so many seconds after its start.
_HEAD = const("<HIIHI")
_CRC_AT = const(12)
_SIZE = const(16)
_MAGIC = const(0x0A01)

# A file that is longer is not appended to: littlefs copies its last block each time.
_FILE = const(4000)
_PIECE = const(256)


class OutboxError(Error):
    """The message cannot be kept on flash. Nothing was sent; what waits goes on waiting."""


class Outbox:
    """The messages that wait in a folder.

    path     of the folder; it is made for the first message
    session  microdps.session.Session, whose messages they are
    now      a function: milliseconds since the start
    most     bytes that the files may have together
    keep     "newest": where there is no room the oldest go; "oldest": the new one is refused
    first, last  numbers of the files; none is there if last < first
    full     is the next message to begin a file?
    at       place in the first file where the next message lies
    lost     messages for which there was no room
    dropped  those of them that no message has told yet; the next one that is kept does
    damaged  places where what lay there could not be read
    """

    dropped = lost = damaged = at = 0

    def __init__(self, path: str, session, now, most: int = 65_536, keep: str = "newest"):
        self.path = path
        self.session = session
        owner = binascii.crc32(repr(session.owner).encode()) & 0xFFFFFFFF
        self.line = b"microdps outbox 1 %08x\n" % owner
        self.now = now
        self.most = most
        self.keep = keep
        self.run = int(run(session)[:4], 16) | 1
        try:
            numbers = [int(name) for name in os.listdir(path) if name.isdigit()]
        except OSError:
            numbers = []
        self.first = min(numbers) if numbers else 0
        self.last = max(numbers) if numbers else -1
        self.full = numbers and not self.ours(self.last)

    def name(self, number: int) -> str:
        return "%s/%d" % (self.path, number)

    def size(self, number: int) -> int:
        """Bytes of a file; 0 if it is not there."""
        try:
            return os.stat(self.name(number))[6]
        except OSError:
            return 0

    def queue(self, body, properties=None, system=None):
        """Keep a message. Returns when it lies on flash.

        body                bytes-like
        properties, system  as microdps.protocol.properties has them; the message_id and, if the
                            clock is set, the creation_time are added if they are not there

        Raises OutboxError if there is no room, or flash cannot be written.
        """
        system = named(self.session, system)
        while True:
            if self.dropped:
                properties = dict(properties or {})
                properties["outbox-dropped"] = str(self.dropped)
            data = encode(body, properties, system)
            need = len(data) + _SIZE + len(self.line)
            free = self.most - sum(map(self.size, range(self.first, self.last + 1)))
            if need <= free:
                break
            if need > self.most or self.keep == "oldest":
                self.dropped += 1
                self.lost += 1
                raise OutboxError("outbox-full", self.path)
            count = self.waiting(self.first, self.at)
            self.dropped += count
            self.lost += count
            self.remove()
        self.append(data, 0 if "creation_time" in system else self.run)
        self.dropped = 0

    def append(self, data: bytes, run: int):
        """Write an item behind the others. Raises OutboxError."""
        head = struct.pack(_HEAD, _MAGIC, len(data), self.now() // 1000, run, 0)
        crc = binascii.crc32(data, binascii.crc32(head[:_CRC_AT])) & 0xFFFFFFFF
        size = self.size(self.last)
        last = self.last
        if self.full or not size or size + len(data) > _FILE:
            last += 1
            size = 0
        try:
            try:
                os.mkdir(self.path)
            except OSError:
                pass  # it is there, or the file cannot be made either
            with open(self.name(last), "ab") as file:
                line = b"" if size else self.line
                file.write(line + head[:_CRC_AT] + struct.pack("<I", crc) + data)
        except OSError as error:
            raise OutboxError("outbox-flash", "%s: %s" % (self.path, error))
        self.last = last
        self.full = False

    def delivered(self, number: int, at: int):
        """The hub has accepted what lies before a place in a file."""
        while self.first < number:
            self.remove()
        if self.first == number:
            self.at = at
            if at >= self.size(number):
                self.remove()

    def remove(self):
        """Delete the first file. One that is not ours is set aside, in place of the last such."""
        name = self.name(self.first)
        try:
            if self.ours(self.first):
                os.remove(name)
            else:
                os.rename(name, self.path + "/aside")
                self.tell(name, "not ours: now %s/aside" % self.path)
        except OSError as error:
            self.tell(name, error)
        self.first += 1
        self.at = 0

    def ours(self, number: int) -> bool:
        """Is a file of this device and format?"""
        try:
            with open(self.name(number), "rb") as file:
                return file.read(len(self.line)) == self.line
        except OSError as error:
            self.tell(self.name(number), error)
            return False

    def tell(self, name: str, why: object):
        self.session.log("outbox: %s: %s", name, why)

    def messages(self, number: int, at: int = 0):
        """The messages of a file, from a place in it on → (file, length, seconds, run, end) of
        each. What is read from the file next is the item; end is the place of the next message. A
        place where no whole message lies has the length 0.
        """
        try:
            with open(self.name(number), "rb") as file:
                if file.read(len(self.line)) != self.line:
                    return
                size = file.seek(0, 2)
                at = at or len(self.line)
                while at < size:
                    file.seek(at)
                    head = file.read(_SIZE)
                    at += _SIZE
                    length = seconds = run = 0
                    if len(head) == _SIZE:
                        magic, length, seconds, run, crc = struct.unpack(_HEAD, head)
                        if (
                            magic != _MAGIC
                            or at + length > size
                            or _crc(file, head, length) != crc
                        ):
                            length = 0
                    end = at + length if length else _find(file, at - _SIZE + 1)
                    file.seek(at)
                    yield file, length, seconds, run, end
                    at = end
        except OSError as error:
            self.tell(self.name(number), error)

    def waiting(self, number: int, at: int = 0) -> int:
        """How many messages a file holds, from a place in it on."""
        count = 0
        for _, length, _, _, _ in self.messages(number, at):
            count += length > 0
        return count


def _crc(file, head: bytes, length: int) -> int:
    """The CRC-32 of a message whose item is to be read next."""
    crc = binascii.crc32(head[:_CRC_AT])
    while length:
        piece = file.read(min(length, _PIECE))
        if not piece:
            break
        crc = binascii.crc32(piece, crc)
        length -= len(piece)
    return crc & 0xFFFFFFFF


def _find(file, at: int) -> int:
    """Where the next magic number stands in a file, from a place on; the end if there is none."""
    while True:
        file.seek(at)
        piece = file.read(_PIECE)
        found = piece.find(b"\x01\n")
        if found >= 0:
            return at + found
        if len(piece) < 2:
            return at + len(piece)
        at += len(piece) - 1
