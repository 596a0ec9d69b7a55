"""What a peer says, made fit to be kept and shown."""


def printable(value, most: int = 128) -> str:
    """A text of a peer's, cut, with "?" for all but printable ASCII. "" if it is no text.

    value  str, bytes, or whatever a peer's JSON held in its place
    """
    if isinstance(value, bytes):
        value = [chr(byte) for byte in value[:most]]
    elif not isinstance(value, str):
        return ""
    return "".join([char if " " <= char <= "~" else "?" for char in value[:most]])
