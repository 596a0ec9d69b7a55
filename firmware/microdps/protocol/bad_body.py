"""What is wrong with the data of a message. Loaded when microdps.protocol.body refuses it."""

from micropython import const

# As in microdps.protocol.body.
_DEPTH = const(32)


def refuse(data, body):
    """Raise the ValueError or TypeError for data that cannot be sent. body: what became of it, if
    that is too long."""
    if body is not None:
        raise ValueError("the message has %d bytes: a hub takes 262144" % len(body))
    if not isinstance(data, (dict, list)):
        raise _type_error("a message must be a dict, list, str or bytes", data)
    _look(data, "data", 0)


def _look(value, name, depth: int):
    """name: the key that the value has."""
    if depth == _DEPTH and isinstance(value, (dict, list, tuple)):
        raise ValueError("%s: nested too deep, or in itself" % name)
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError("%s: %s is no number of JSON" % (name, value))
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError("%s: the key %r is no str" % (name, key))
            _look(value[key], key, depth + 1)
    elif type(value) in (list, tuple):
        for one in value:
            _look(one, name, depth + 1)
    elif value is not None and not isinstance(value, (str, int, bool)):
        raise _type_error("%s: JSON holds no such value" % name, value)


def _type_error(text: str, value) -> TypeError:
    hint = ": await it first" if hasattr(value, "send") else ""  # a coroutine
    return TypeError("%s, not %s%s" % (text, type(value).__name__, hint))
