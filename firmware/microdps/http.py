"""One HTTP/1.1 request and its response: a flow, which does no I/O of its own.

A flow is a generator. It yields what it needs, always as (what, argument), and is handed what came
of it; a driver (microdps.link) does the work. This is the whole list:

    ("open", (host, ms))  begin an exchange with `name` or `name:port`, for which all that follows
                          has so many ms; with None it goes on in the time of the one before.
                          → True if the connection that is open leads there and is silent, as it
                          should be; else it is closed, and a new one opened
    ("send", buffer)      all of the buffer, after the TLS handshake if that is due
    ("recv", buffer)      → bytes received, 1 to len(buffer); 0 at the end of the stream
    ("close", None)
    ("sleep", ms)
    ("now", None)         → ms since some start; never wraps

What fails is thrown into the flow as a LinkError, and the connection is closed then. The buffer of
a "recv" is read only after it was answered.

Sources: RFC 9110 and RFC 9112 (2022-06), whose sections are named below.
"""

from micropython import const

from microdps.errors import LinkError, ProtocolError

NOW = ("now", None)
CLOSE = ("close", None)

# The header lines of the how-to; DPS and IoT Hub both ask for them.
FIELDS = b"Content-Type: application/json\r\nContent-Encoding: utf-8\r\n"

# What is to come of a response, where it is no number of bytes: a line of the head, the first one
# apart; the line before a chunk; a line of the trailer; all until the connection closes.
_STATUS = const(-1)
_FIELD = const(-2)
_CHUNK = const(-3)
_TRAILER = const(-4)
_UNTIL_CLOSE = const(-5)
_SHORT = const(-6)  # a line of the head of a 204, where only some are looked at: those that begin
_SOME = const(1 << 3 | 1 << 10 | 1 << 13)  # with C or c, LF or CR (or what has the same low bits)

# RFC 9110, 5.6.2: a name is a token when strip() leaves nothing of it; frequent letters first, for
# it searches. [9:31] are the digits of a chunk's size; [:66] stand for themselves in a path
# (RFC 3986, 2.3).
_TOKEN = b"-tinorslgeacdbf0123456789ABCDEFhkmpquvwxyzjGHIJKLMNOPQRSTUVWXYZ_.~!#$%&'*+^`|"


def quote(text: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters: an ID is one path segment."""
    if not text.encode().strip(_TOKEN[:66]):
        return text
    from microdps.url import percent

    return percent(text)


def split_host(host: str):
    """Split `name` or `name:port` → (name, port); the port is 443 if none is given.

    Raises ValueError if the name is empty or holds what no host name has, or the port is no
    number from 1 to 65535.
    """
    name, _, port = host.partition(":")
    port = port or "443"
    if not name or name.encode().strip(_TOKEN) or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("host: " + host)
    return name, int(port)


class Connection:
    """The buffer for requests and their responses, one at a time, and the last response.

    size    bytes of the buffer: a request of up to that size is one write, and a response, with
            its framing and the interim ones before it, must fit it
    log     None, or a function that is handed a line of text for each answer
    strict  judge all of the head of a 204 as well, which has no body, whatever is said of it; if
            False, only what tells where it ends and whether the connection does: half the time

    After request(), until the next: status (int), body (memoryview), retry_s (Retry-After in
    seconds, 0 if there is none) and microdps.url.header(), which reads the head in head:head_end.
    After a LinkError or a ProtocolError the connection is closed, and can be used again.
    """

    status: int
    _length: int
    _keep: bool

    def __init__(self, size: int = 4096, log=None, strict: bool = True):
        self.buf = bytearray(size)
        self.view = memoryview(self.buf)
        self.log = log
        self.strict = strict
        self._target: tuple | None = None  # what _start, the head of a request, was made for

    @property
    def body(self):
        """The response's body, a memoryview of the buffer."""
        return self.view[self.head_end : self._end]

    def request(self, method, host: str, path: str, fields: bytes, body, timeout_ms, hops=0):
        """Flow: send a request and read its response, following 307 and 308.

        method      "GET", "PUT", …
        host        `name` or `name:port`
        path        with its query, percent-encoded
        fields      header lines, each ended by CRLF, without Host and Content-Length
        body        bytes-like, or None for none
        timeout_ms  for all of it: connecting, the handshake, redirects, the last byte
        hops        redirects followed so far

        Raises LinkError, ProtocolError; ValueError if the head does not fit the buffer.
        """
        buf = self.buf
        size = -1 if body is None else len(body)
        target = (method, host, path, fields, size)
        if target != self._target:
            split_host(host)
            start = "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, host)
            length = "\r\n" if size < 0 else "Content-Length: %d\r\n\r\n" % size
            self._start = start.encode() + fields + length.encode()
            self._target = target
        n = len(self._start)
        if n > len(buf):
            raise ValueError("no request: " + path)
        begun = (yield NOW) if self.log else 0
        kept = yield "open", (host, timeout_ms)
        buf[:n] = self._start
        rest = body
        if size > 0 and n + size <= len(buf):
            buf[n : n + size] = body
            n += size
            rest = None
        self._at = self.head = have = 0
        self._left = _STATUS
        written = False
        try:
            yield "send", self.view[:n]
            written = True
            if rest:
                yield "send", memoryview(rest)
            while True:
                end = self._take(have, method, host)
                if end:
                    break
                if have == len(buf):
                    raise ProtocolError("limit", host)
                n = yield "recv", self.view[have:]
                if not n:
                    if self._left != _UNTIL_CLOSE:
                        raise LinkError("closed", host)
                    self._keep = False
                    self._end = end = have
                    break
                have += n
        except Exception as error:
            yield CLOSE
            if not isinstance(error, LinkError):
                raise
            error.written = written
            if error.args[0] != "closed" or not (have or kept):
                raise
            if have:
                raise ProtocolError("truncated", host)
            # The server closed the kept connection just now. Only what changes nothing is asked
            # again (RFC 9110, 9.2.2): once, for the next connection is no kept one.
            if method not in ("GET", "HEAD"):
                raise
            yield from self.request(method, host, path, fields, body, None, hops)
            return
        if end < have or not self._keep:  # more than the response has come, or no more will
            yield CLOSE
        if self.log:
            ms = (yield NOW) - begun
            plain = path.split("?")[0]
            self.log("%s %s%s: %d in %d ms" % (method, host, plain, self.status, ms))
        if self.status in (307, 308):
            from microdps.url import follow

            yield from follow(self, method, host, fields, body, hops)

    def _take(self, have: int, method, host: str) -> int:
        """Take what has come of the response, in :have → where the response ends; 0 if more is to
        come. A chunked body (RFC 9112, 7.1) is unpacked in place."""
        buf = self.buf
        find = buf.find
        line = at = self._at  # what is not looked at yet begins here
        left = self._left
        while left != _UNTIL_CLOSE:
            line = at
            if left >= 0:
                at += left
                if at > len(buf):
                    raise ProtocolError("limit", host)
                if at > have:
                    break
                if self._length >= 0:
                    self._end = at
                    return at
                if buf[at - 2 : at] != b"\r\n":
                    raise ProtocolError("chunk", host)
                end = self._end
                self._end = end + left - 2
                self.view[end : self._end] = self.view[line : at - 2]
                left = _CHUNK
                continue
            at = find(b"\n", line, have) + 1
            if not at:
                break
            if left == _SHORT:
                while at and not _SOME >> (buf[line] & 31) & 1:
                    line = at
                    at = find(b"\n", line, have) + 1
                if not at:
                    break
            if buf[at - 2] != 13 or left != _SHORT and find(b"\r", line, at) != at - 2:
                raise ProtocolError("line-end", host)
            if left == _STATUS and not self.strict and buf[line : line + 13] == b"HTTP/1.1 204 ":
                self.status = 204
                self._keep = True
                self.retry_s = 0
                left = _SHORT
            elif left == _STATUS:
                # RFC 9112, 4: HTTP/1.0 or 1.1, a space, three digits; the reason may be missing.
                text = bytes(self.view[line:at])
                digits = text[9:12]
                self.status = int(digits) if digits.isdigit() else 0
                if (
                    text[:7] != b"HTTP/1."
                    or text[7] not in b"01"
                    or text[8] != 32
                    or self.status < 100
                    or self.status == 101  # no other protocol was asked for
                    or text[12] not in b" \r"
                    or b"\0" in text
                ):
                    raise ProtocolError("no-http", host)
                self._keep = text[7] == 49  # HTTP/1.1
                self._length = _UNTIL_CLOSE
                self.retry_s = 0
                left = _FIELD
            elif left == _CHUNK:
                # RFC 9112, 7.1.1: hexadecimal digits; the extensions are passed over.
                size = bytes(self.view[line:at]).split(b";")[0].rstrip()
                if not size or size.strip(_TOKEN[9:31]):
                    raise ProtocolError("chunk", host)
                left = int(size, 16) + 2
                if left == 2:
                    left = _TRAILER
            elif at > line + 2:
                if left == _SHORT and find(b":", line, at) != line + 10:  # no Connection
                    continue
                if at == have:  # may the next line continue this one?
                    break
                if buf[at] == 32 or buf[at] == 9:  # it does (RFC 9112, 5.2)
                    buf[at - 2 : at] = b"  "
                    at = line
                else:
                    self._field(line, at, host)
            elif left == _TRAILER:
                return at
            elif left == _SHORT:
                self.head_end = self._end = at
                return at
            elif self.status < 200:  # an interim answer: passed over (RFC 9110, 15.2)
                self.head = at
                left = _STATUS
            else:
                self.head_end = self._end = at
                if method == "HEAD" or self.status in (204, 304):
                    self._length = 0
                left = self._length
                line = at
        self._at = line
        self._left = left
        return 0

    def _field(self, line: int, end: int, host: str):
        """Take a header line."""
        colon = self.buf.find(b":", line, end)
        value = bytes(self.view[line : end - 2])
        name = value[: colon - line].lower()
        value = value[colon - line + 1 :].strip(b" \t")
        if colon <= line or name.strip(_TOKEN) or value.find(b"\0") >= 0:
            raise ProtocolError("header", host)
        if name == b"content-length":
            if not value.isdigit() or self._length not in (_UNTIL_CLOSE, int(value)):
                raise ProtocolError("length", host)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self._length != _UNTIL_CLOSE:
                raise ProtocolError("length", host)
            self._length = _CHUNK
        elif name == b"connection":
            if value.lower().find(b"close") >= 0:
                self._keep = False
        elif name == b"retry-after" and value.isdigit() and len(value) < 7:
            self.retry_s = int(value)
