"""What a peer says, made fit to be kept and shown.

By its bytes: MicroPython keeps each character of a str that is looked at alone, for ever.
"""


def printable(value, most: int = 128) -> str:
    """A text of a peer's, cut, with "?" for all but printable ASCII. "" if it is no text.

    value  str, bytes, or whatever a peer's JSON held in its place
    """
    if isinstance(value, str):
        value = value[:most].encode("utf-8", "replace")
        value = bytes([byte for byte in value if byte & 0xC0 != 0x80])  # one of each character
    elif not isinstance(value, bytes):
        return ""
    return bytes([byte if 32 <= byte < 127 else 63 for byte in value[:most]]).decode()
