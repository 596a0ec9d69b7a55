"""A message as a batch has it: an item, whose end is made when it is sent.

Source: Azure REST reference, IoT Hub, "Send Device Event".
"""

import binascii
import json
import time

from micropython import const

# A clock before this year was never set. Some ports count seconds since 1970, others since 2000.
_FIRST_YEAR = const(2025)
_TO_2000_S = 0 if time.gmtime(0)[0] == 2000 else 946_684_800


def item(body, properties, system: dict) -> bytes:
    """A message as a batch has it: as text or as base64, whichever is shorter.

    body                bytes-like
    properties, system  as microdps.protocol.properties has them; system is not empty

    Raises ValueError or TypeError for properties that cannot be sent.
    """
    from microdps.protocol.properties import checked

    start = '{"body":"%s"' % binascii.b2a_base64(body)[:-1].decode()
    try:
        text = '{"body":%s,"base64Encoded":false' % json.dumps(str(body, "utf-8"))
        if len(text) < len(start):
            start = text
    except ValueError:  # a UnicodeError is one: it is no text
        pass
    pairs = {header: value for header, _, value in checked(properties, system)}
    return (start + ',"properties":%s}' % json.dumps(pairs, separators=(",", ":"))).encode()


def ending(outbox, start_s: int, seconds: int, run: int) -> bytes:
    """The end of an item: when its message was queued, in place of its last two braces.

    start_s  when the outbox's run began, in seconds since 2000; 0 if that is not known
    """
    if run == outbox.run and start_s:
        seconds += start_s
        run = 0
    if run:
        return b',"iothub-app-time":"unknown"}}'
    moment = time.gmtime(seconds + _TO_2000_S)[:6]
    return b',"iothub-creationtimeutc":"%d-%02d-%02dT%02d:%02d:%02dZ"}}' % moment


def clock() -> int:
    """Seconds since 2000, UTC; 0 while the clock is not set."""
    now = time.time()
    return int(now) - _TO_2000_S if time.gmtime(now)[0] >= _FIRST_YEAR else 0
