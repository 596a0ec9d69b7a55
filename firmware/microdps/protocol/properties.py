"""Properties of a message: header lines of its request, or a property bag in its topic.
Loaded by who uses them, and with MQTT.

Source: Azure documentation, "Create and read IoT Hub messages", and the REST reference, "Send
Device Event".
"""

from microdps.protocol.url import quote

# Our name → header, name in a bag. The content type and encoding are the message's, for routing on
# its body.
SYSTEM = {
    "message_id": ("iothub-messageid", "$.mid"),
    "correlation_id": ("iothub-correlationid", "$.cid"),
    "content_type": ("iothub-contenttype", "$.ct"),
    "content_encoding": ("iothub-contentencoding", "$.ce"),
    "creation_time": ("iothub-creationtimeutc", "$.ctime"),
}

# RFC 9110, 5.6.2, without what a property bag would have to escape.
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%'*+^`|~"


def encode(properties, **system) -> bytes:
    """The header lines of a message's properties.

    properties  dict of str: str, the application's own, or None
    system      message_id (at most 128 characters), correlation_id, content_type,
                content_encoding, creation_time (ISO 8601 in UTC, "2026-11-28T12:00:00Z")

    Raises ValueError if a name is not a token, or a value is no visible ASCII text; TypeError if
    one of them is no str.
    """
    lines = b""
    for header, _, value in checked(properties, system):
        lines += ("%s: %s\r\n" % (header, value)).encode()
    return lines


def bag(properties, **system) -> str:
    """The same as a property bag, the end of an MQTT topic. The message is JSON in UTF-8 unless
    the system's properties say otherwise, as it is over HTTPS.
    """
    system.setdefault("content_type", "application/json")
    system.setdefault("content_encoding", "utf-8")
    pairs = checked(properties, system)
    return "&".join(["%s=%s" % (name, quote(value)) for _, name, value in pairs])


def checked(properties, system) -> list:
    """Header, name in a bag and value of each property. Raises ValueError, TypeError."""
    found = []
    properties = properties or {}
    for given in (properties, system):
        for name, value in given.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError("property: %s: name and value must be str" % name)
    for name, value in properties.items():
        if not name or name.encode().strip(_NAME):
            raise ValueError("property: " + name)
        found.append(("iothub-app-" + name, quote(name), value))
    for name, value in system.items():
        if name not in SYSTEM or (name == "message_id" and len(value) > 128):
            raise ValueError("property: " + name)
        found.append(SYSTEM[name] + (value,))
    for header, _, value in found:
        for byte in value.encode():
            if not 32 <= byte < 127:
                raise ValueError("property: " + header)
    return found
