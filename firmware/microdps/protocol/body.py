"""The body of a message. MicroPython's json writes what is no JSON without an error (nan, sets,
objects), so the data is looked at first."""

import json

from micropython import const

# The largest message that IoT Hub takes, in bytes ("IoT Hub quotas and throttling").
_MOST = const(262_144)

# Deeper nesting is taken for data that contains itself.
_DEPTH = const(32)


def encode(data, properties=None, system=None):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are. The
    properties that go with it are looked at, too.

    Raises ValueError or TypeError, which name the key, for data that JSON cannot hold; ValueError
    for more than the hub takes.
    """
    body = None
    if isinstance(data, dict) or isinstance(data, list):  # noqa: SIM101
        if _fits(data, _DEPTH):
            body = json.dumps(data).encode()
    elif isinstance(data, str):
        body = data.encode()
    elif isinstance(data, (bytes, bytearray, memoryview)):
        body = memoryview(data)
    if body is None or len(body) > _MOST:
        from microdps.protocol.bad_body import refuse

        refuse(data, body)
    if properties or system:
        from microdps.protocol import properties as rules

        rules.encode(properties, **(system or {}))
    return body


def _fits(value, depth: int) -> bool:
    """Can JSON hold a value, nested so deep at most? Written so that it allocates nothing:
    MicroPython makes a tuple of types anew for each look."""
    if isinstance(value, str) or isinstance(value, int):  # noqa: SIM101
        return True
    if isinstance(value, float):
        try:
            int(value)
            return True
        except (ValueError, OverflowError):  # nan, inf
            return False
    if isinstance(value, dict):
        if not depth:
            return False
        for key in value:
            if not isinstance(key, str) or not _fits(value[key], depth - 1):
                return False
        return True
    if type(value) is list or type(value) is tuple:  # MicroPython writes a namedtuple's name
        if not depth:
            return False
        for one in value:
            if not _fits(one, depth - 1):
                return False
        return True
    return value is None or value is True or value is False  # MicroPython's bool is no int
