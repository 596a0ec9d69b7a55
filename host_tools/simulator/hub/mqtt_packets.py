"""MQTT 3.1.1 packets: build and parse them.

Source: MQTT 3.1.1 (OASIS, 2014-10-29), whose sections are named below.
"""

import enum

# The largest packet: a message of 256 KB, its topic and its packet ID.
PACKET_LIMIT = 256 * 1024 + 65540


class Kind(enum.IntEnum):
    """Packet types (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


# Return codes of CONNACK (3.2.2.3).
BAD_PROTOCOL, BAD_CLIENT_ID, BAD_USER, UNAUTHORIZED = 1, 2, 4, 5


class ViolationError(Exception):
    """A packet that the hub answers by closing the connection."""


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """A packet with its fixed header (2.2)."""
    head = bytearray([kind << 4 | flags])
    length = len(body)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes(head) + bytes([length]) + body


def string(text: str) -> bytes:
    """A string with its length (1.5.3)."""
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def split(data: bytes) -> tuple[int, int, bytes, bytes] | None:
    """The first packet: its kind, flags and body, and the bytes after it.

    None if the packet is not complete yet. Raises ViolationError if its length is invalid or over
    the limit.
    """
    length = 0
    for at in range(1, 5):
        if at >= len(data):
            return None
        length |= (data[at] & 127) << 7 * (at - 1)
        if data[at] < 128:
            break
    else:
        raise ViolationError("a length of more than four bytes")
    if length > PACKET_LIMIT:
        raise ViolationError("a packet over the limit")
    end = at + 1 + length
    if end > len(data):
        return None
    return data[0] >> 4, data[0] & 15, data[at + 1 : end], data[end:]


class Fields:
    """Reads the fields of a packet, one after the other. Raises ViolationError if one is cut off.

    data  the bytes that are left
    """

    def __init__(self, data: bytes):
        self.data = data

    def read(self, n: int) -> bytes:
        if n > len(self.data):
            raise ViolationError("a packet that is too short")
        field, self.data = self.data[:n], self.data[n:]
        return field

    def read_number(self) -> int:
        return int.from_bytes(self.read(2))

    def read_string(self) -> str:
        try:
            text = self.read(self.read_number()).decode()
        except UnicodeDecodeError as error:
            raise ViolationError("a string that is not UTF-8") from error
        if "\0" in text:
            raise ViolationError("a string with a null character")
        return text
