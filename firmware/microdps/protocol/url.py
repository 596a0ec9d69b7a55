"""Host names and path segments, as RFC 3986 has them."""

# RFC 9110, 5.6.2: a name is a token when strip() leaves nothing of it; frequent letters first, for
# it searches. [9:31] are the digits of a chunk's size; [:66] stand for themselves in a path
# (RFC 3986, 2.3).
TOKEN = b"-tinorslgeacdbf0123456789ABCDEFhkmpquvwxyzjGHIJKLMNOPQRSTUVWXYZ_.~!#$%&'*+^`|"


def quote(text: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters: an ID is one path segment."""
    data = text.encode()
    if not data.strip(TOKEN[:66]):
        return text
    parts = [bytes((byte,)) if byte in TOKEN[:66] else b"%%%02X" % byte for byte in data]
    return b"".join(parts).decode()


def split_host(host: str):
    """Split `name` or `name:port` → (name, port); the port is 443 if none is given.

    Raises ValueError if the name is empty, longer than 253 (RFC 1035, 2.3.4) or holds what no
    host name has, or the port is no number from 1 to 65535.
    """
    name, _, port = host.partition(":")
    port = port or "443"
    if (
        not 0 < len(name) < 254
        or name.encode().strip(TOKEN)
        or not port.isdigit()
        or not 0 < int(port) < 65536
    ):
        raise ValueError("host: " + host)
    return name, int(port)
