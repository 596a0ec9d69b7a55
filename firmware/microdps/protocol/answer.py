"""The body and the fields of a response that has been read. Apart from the reader, which is let go
before they are looked at.

What a peer says is data: what is kept or shown of it goes through microdps.protocol.printable.
"""

import json
import sys

from micropython import const

from microdps.errors import ProtocolError

# No answer of DPS or the hub nests deeper than five. Each level costs the parser stack and heap.
_DEPTH = const(16)

# MicroPython's reads a memoryview, which spares a copy of the body; CPython's does not.
_loads = json.loads
if sys.implementation.name != "micropython":

    def _loads(view):
        return json.loads(str(view, "utf-8"))


def json_object(response, where: str) -> dict:
    """The response's body, a JSON object → dict. Raises ProtocolError."""
    view = response.view[response.head_end : response.end]
    answer = None
    if not _too_deep(view):
        try:
            answer = _loads(view)
        except ValueError:  # a UnicodeError is one
            pass
    if not isinstance(answer, dict):
        raise ProtocolError("json", where)
    return answer


def _too_deep(view) -> bool:
    """Are there more than _DEPTH brackets open at once? Those in strings do not count."""
    depth = 0
    quoted = escaped = False
    for byte in view:
        if escaped:
            escaped = False
        elif byte == 0x22:  # "
            quoted = not quoted
        elif quoted:
            escaped = byte == 0x5C  # backslash
        elif byte in b"[{":
            depth += 1
            if depth > _DEPTH:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def header(response, name: str):
    """Value of a response's first header of that name, in any case → bytes, or None."""
    want = ("\n%s:" % name.lower()).encode()
    buf, end = response.buf, response.head_end
    at = buf.find(b"\n", response.head, end)
    while at >= 0:
        colon = at + len(want)
        if buf[at:colon].lower() == want:
            return bytes(buf[colon : buf.find(b"\r", at)]).strip(b" \t")
        at = buf.find(b"\n", at + 1, end)
    return None
