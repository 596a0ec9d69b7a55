"""Properties of a message, as header lines of its request. Loaded only by who uses them.

Source: Azure documentation, "Create and read IoT Hub messages", and the REST reference, "Send
Device Event".
"""

# Our name → header. The content type and encoding are the message's, for routing on its body.
_SYSTEM = {
    "message_id": "iothub-messageid",
    "correlation_id": "iothub-correlationid",
    "content_type": "iothub-contenttype",
    "content_encoding": "iothub-contentencoding",
}

# RFC 9110, 5.6.2, without what a property bag would have to escape.
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%'*+^`|~"


def encode(properties, **system) -> bytes:
    """The header lines of a message's properties.

    properties  dict of str: str, the application's own, or None
    system      message_id (at most 128 characters), correlation_id, content_type, content_encoding

    Raises ValueError if a name is not a token, or a value is no visible ASCII text.
    """
    lines = b""
    for name, value in (properties or {}).items():
        lines += _line("iothub-app-" + name, value)
    for name, value in system.items():
        if name not in _SYSTEM or (name == "message_id" and len(value) > 128):
            raise ValueError("property: " + name)
        lines += _line(_SYSTEM[name], value)
    return lines


def _line(name: str, value: str) -> bytes:
    if name.encode().strip(_NAME) or name.endswith("-app-"):
        raise ValueError("property: " + name)
    for byte in value.encode():
        if not 32 <= byte < 127:
            raise ValueError("property: " + name)
    return ("%s: %s\r\n" % (name, value)).encode()
