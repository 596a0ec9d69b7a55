"""The body and the fields of a response that has been read. Apart from the reader, which is let go
before they are looked at."""

import json
import sys

from microdps.errors import ProtocolError

# MicroPython's reads a memoryview, which spares a copy of the body; CPython's does not.
_loads = json.loads
if sys.implementation.name != "micropython":

    def _loads(view):
        return json.loads(bytes(view))


def json_object(response, where: str) -> dict:
    """The response's body, a JSON object → dict. Raises ProtocolError."""
    try:
        answer = _loads(response.view[response.head_end : response.end])
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        answer = None
    if not isinstance(answer, dict):
        raise ProtocolError("json", where)
    return answer


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
