"""The body of a message. MicroPython's json writes what is no JSON without an error (nan, sets,
objects), so the data is looked at first."""

import json

from micropython import const

# The largest message that IoT Hub takes, in bytes ("IoT Hub quotas and throttling").
_MOST = const(262_144)

# Deeper nesting is taken for data that contains itself.
_DEPTH = const(32)
_INF = float("inf")


def encode(data):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are.

    Raises ValueError or TypeError, which name the key, for data that JSON cannot hold; ValueError
    for more than the hub takes.
    """
    if isinstance(data, (dict, list)):
        _check(data, "data", 0)
        body = json.dumps(data).encode()
    elif isinstance(data, str):
        body = data.encode()
    elif isinstance(data, (bytes, bytearray, memoryview)):
        body = memoryview(data)
    else:
        raise _type_error("a message must be a dict, list, str or bytes", data)
    if len(body) > _MOST:
        raise ValueError("the message has %d bytes: a hub takes %d" % (len(body), _MOST))
    return body


def _check(value, name, depth: int):
    """Can JSON hold a value? name: the key that it has."""
    if isinstance(value, float):
        if not -_INF < value < _INF:
            raise ValueError("%s: %s is no number of JSON" % (name, value))
    elif isinstance(value, (dict, list, tuple)):
        if depth == _DEPTH:
            raise ValueError("%s: nested too deep, or in itself" % name)
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise TypeError("%s: the key %r is no str" % (name, key))
                _check(value[key], key, depth + 1)
        else:
            if type(value) not in (list, tuple):  # a namedtuple would be written as one
                raise _type_error("%s: JSON holds no such value" % name, value)
            for one in value:
                _check(one, name, depth + 1)
    elif value is not None and not isinstance(value, (str, int)):
        raise _type_error("%s: JSON holds no such value" % name, value)


def _type_error(text: str, value) -> TypeError:
    hint = ": await it first" if hasattr(value, "send") else ""  # a coroutine
    return TypeError("%s, not %s%s" % (text, type(value).__name__, hint))
