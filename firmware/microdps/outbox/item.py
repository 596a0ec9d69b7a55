"""A message as a batch has it: an item, whose end is made when it is sent.

Source: Azure REST reference, IoT Hub, "Send Device Event".
"""

import binascii
import json

from microdps.outbox.naming import iso


def encode(body, properties, system: dict) -> bytes:
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
    """What is sent in place of the last two braces of an item: they, and when its message was
    queued, if the item does not tell.

    start_s  when the outbox's run began, as time.time() counts; 0 if that is not known
    """
    if not run:
        return b"}}"
    if run == outbox.run and start_s:
        return b',"iothub-creationtimeutc":"%s"}}' % iso(start_s + seconds).encode()
    return b',"iothub-app-time":"unknown"}}'
