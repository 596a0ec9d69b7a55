"""One HTTP/1.1 request and its response: a flow.

Sources: RFC 9110 and RFC 9112 (2022-06), whose sections are named below.
"""

from microdps.errors import LinkError, ProtocolError

# The header lines of the how-to; DPS and IoT Hub both ask for them.
FIELDS = b"Content-Type: application/json\r\nContent-Encoding: utf-8\r\n"


class Connection:
    """The buffer for requests and their responses, one at a time, and the last response.

    buf     bytearray, the buffer: a request of up to its size is one write, and a response, with
            its framing and the interim ones before it, must fit it; or its size in bytes
    log     None, or a function that is handed a line of text for each answer

    After request(), until the next: status (int), retry_s (Retry-After in seconds, 0 if there is
    none), keep (may the connection be kept?), and where in the buffer the head and the body lie:
    head:head_end and head_end:end (microdps.protocol.response reads them). After a LinkError or a
    ProtocolError the connection is closed, and can be used again.
    """

    status = retry_s = head = head_end = end = 0
    keep = False
    target: tuple | None = None  # of the request that start, its head, was made for
    usual: list = []  # noqa: RUF012  replaced, never changed

    def __init__(self, buf=4096, log=None):
        self.buf = bytearray(buf) if isinstance(buf, int) else buf
        self.view = memoryview(self.buf)
        self.log = log

    def request(self, method, host: str, path: str, fields: bytes, body, timeout_ms):
        """Flow: send a request and read its response, following 307 and 308.

        method      "GET", "PUT", …
        host        `name` or `name:port`
        path        with its query, percent-encoded
        fields      header lines, each ended by CRLF, without Host and Content-Length
        body        bytes-like, or None for none; or an object with len() and pieces(view), which
                    yields it piece by piece, each perhaps in the view of the buffer
        timeout_ms  for all of it: connecting, the handshake, redirects, the last byte

        Raises LinkError, ProtocolError; ValueError if the head does not fit the buffer.
        """
        hops = 0
        while True:
            begun = (yield "now", None) if self.log else 0
            again = yield from self.exchange(method, host, path, fields, body, timeout_ms)
            timeout_ms = None  # what follows has the rest of the time
            if again:
                continue
            if self.log:
                ms = (yield "now", None) - begun
                plain = path.split("?")[0]
                self.log("%s %s%s: %d in %d ms" % (method, host, plain, self.status, ms))
            if self.status not in (307, 308):
                return
            self.tidy()
            from microdps.protocol.redirect import redirect

            target, path = redirect(self, host, hops, fields)
            del redirect
            if target != host:
                fields = self.leave(fields)
            host = target
            hops += 1

    def leave(self, fields: bytes) -> bytes:
        """The header lines for another host, after a redirect. microdps.client drops secrets."""
        return fields

    def tidy(self):
        """Called when modules are not needed any longer. microdps.session puts its own here."""

    def exchange(self, method, host: str, path: str, fields: bytes, body, timeout_ms):
        """Flow: send a request and read its response → is it to be sent again, because the server
        closed the kept connection just now?

        Only a request that changes nothing is (RFC 9110, 9.2.2), and once: the next connection is
        no kept one.
        """
        n, rest = self.write(method, host, path, fields, body)
        kept = yield "open", (host, timeout_ms)
        if not kept:
            self.tidy()
        have = 0
        written = False
        try:
            yield "send", self.view[:n]
            written = True
            for piece in rest:
                yield "send", piece
            have = yield "recv", self.view
            if not have:
                raise LinkError("closed", host)
            if not self.take_usual(have):
                from microdps.protocol.response import Reader

                yield from Reader(self, host, have).read(method)
        except Exception as error:
            yield "close", None
            if not isinstance(error, LinkError):
                raise
            error.written = written
            if error.args[0] != "closed" or not (have or kept):
                raise
            if have:
                raise ProtocolError("truncated", host)
            if method not in ("GET", "HEAD"):
                raise
            return True
        if not self.keep:
            yield "close", None
        return False

    def write(self, method, host: str, path: str, fields: bytes, body):
        """Put a request into the buffer → (its bytes there, the pieces of a body that follow)."""
        size = -1 if body is None else len(body)
        target = (method, host, path, fields, size)
        if target != self.target:
            from microdps.protocol.url import split_host

            split_host(host)
            start = "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, host)
            length = "\r\n" if size < 0 else "Content-Length: %d\r\n\r\n" % size
            self.start = start.encode() + fields + length.encode()
            self.target = target
        n = len(self.start)
        if n > len(self.buf):
            raise ValueError("no request: " + path)
        self.buf[:n] = self.start
        if size < 1:
            return n, ()
        if hasattr(body, "pieces"):
            return n, body.pieces(self.view)
        if n + size > len(self.buf):
            return n, (memoryview(body),)
        self.buf[n : n + size] = body
        return n + size, ()

    # The fast path. A hub's usual 204 differs from the one before in its request ID and its date
    # alone. microdps.protocol.response remembers the rest, and then there is nothing to read:
    # without this method only the speed would differ.

    def take_usual(self, have: int) -> bool:
        """Take the response, if it is the 204 that is known → is it?"""
        at = 0
        for start, same in self.usual:
            for end in (b"\r", b"\n", b"\0"):  # that would be another line, or none
                if self.buf.find(end, at, start) >= 0:
                    return False
            at = start + len(same)
            if at > have or self.view[start:at] != same:
                return False
        if at != have or not have:
            return False
        self.status = 204
        self.keep = True
        self.retry_s = self.head = 0
        self.head_end = self.end = have
        return True
