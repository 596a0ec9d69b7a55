"""The HTTP client on its own: one request at a time, over TLS with the device's certificate."""

from microdps.driver.link import Link
from microdps.protocol.answer import header
from microdps.protocol.http import Connection
from microdps.protocol.redirect import split_url, visible

# Header lines that are for one host only.
_SECRET = (b"authorization", b"cookie", b"proxy-authorization")


def _fields(headers) -> bytes:
    """A dict of headers as lines. Raises ValueError if a name or value would split the head."""
    lines = b""
    for name, value in (headers or {}).items():
        if not name or not visible(name) or ":" in name or "\r" in value or "\n" in value:
            raise ValueError("header: " + name)
        lines += ("%s: %s\r\n" % (name, value)).encode()
    return lines


class Response(Connection):
    """What came last on a connection: status, body (bytes-like) and header(name)."""

    @property
    def body(self):
        """The response's body, a memoryview of the buffer."""
        return self.view[self.head_end : self.end]

    def leave(self, fields: bytes) -> bytes:
        lines = fields.split(b"\r\n")
        return b"\r\n".join([line for line in lines if line.split(b":")[0].lower() not in _SECRET])

    def header(self, name: str):
        """Value of the first header of that name, in any case → bytes, or None."""
        return header(self, name)


class Client:
    """HTTP/1.1 over TLS with a client certificate, to verified servers, on kept connections.

    identity    microdps.identity.Identity
    timeout_ms  for each request, from connecting to the last byte
    size        bytes of the buffer that a response, head and body, must fit

    Raises IdentityError if TLS refuses the key, a certificate or a root.
    """

    def __init__(self, identity, timeout_ms: int = 30_000, size: int = 4096):
        self._timeout_ms = timeout_ms
        self._connection = Response(size)
        self._link = Link(identity)

    def request(self, method: str, url: str, headers=None, body=None) -> Response:
        """Send a request → the response: status, body (bytes-like) and header(name).

        method   "GET", "PUT", …
        url      https://host[:port]/path?query, percent-encoded
        headers  dict of str, or None; Host and Content-Length are ours
        body     str or bytes-like, or None

        The response is valid until the next request. 307 and 308 are followed on the same host,
        and within Azure's domains; Authorization and Cookie go to no other host or port.
        Raises LinkError, ProtocolError: the client can be used again; ValueError: nothing was
        sent.
        """
        if not method.isalpha():
            raise ValueError("method: " + method)
        host, path = split_url(url)
        if isinstance(body, str):
            body = body.encode()
        elif body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        fields = _fields(headers)
        self._link.run(
            self._connection.request(method, host, path, fields, body, self._timeout_ms)
        )
        return self._connection

    def close(self):
        """Close the connection. The next request opens one again."""
        self._link.close()
