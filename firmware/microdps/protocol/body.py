"""The body of a message. MicroPython's json writes what is no JSON without an error (nan, sets,
objects), so the data is looked at first."""

import json

from micropython import const

# The largest message that IoT Hub takes, in bytes ("IoT Hub quotas and throttling").
_MOST = const(262_144)

# Deeper nesting is taken for data that contains itself.
_DEPTH = const(32)


def encode(data):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are.

    Raises ValueError or TypeError, which name the key, for data that JSON cannot hold; ValueError
    for more than the hub takes.
    """
    body = None
    if isinstance(data, (dict, list)):
        if _fits(data, _DEPTH):
            body = json.dumps(data).encode()
    elif isinstance(data, str):
        body = data.encode()
    elif isinstance(data, (bytes, bytearray, memoryview)):
        body = memoryview(data)
    if body is None or len(body) > _MOST:
        from microdps.protocol.bad_body import refuse

        refuse(data, body)
    return body


def _fits(value, depth: int) -> bool:
    """Can JSON hold a value, nested so deep at most?"""
    if depth < 0:
        return False
    if isinstance(value, float):
        return value - value == 0  # neither nan nor inf
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not _fits(value[key], depth - 1):
                return False
    elif type(value) in (list, tuple):  # no namedtuple: MicroPython writes its name
        for one in value:
            if not _fits(one, depth - 1):
                return False
    else:
        return value is None or isinstance(value, (str, int))
    return True
