"""Reading one HTTP/1.1 response, rule by rule of RFC 9112 (2022-06), whose sections stand beside
them. Loaded for all but a hub's usual 204.

Each part of a response has its flow, which receives as much as the part needs.
"""

from micropython import const

from microdps.errors import LinkError, ProtocolError
from microdps.protocol.url import TOKEN

_SP = const(32)
_HTAB = const(9)

# No Content-Length (6.2).
_NO_LENGTH = const(-1)


class Reader:
    """Reads one response.

    connection  microdps.protocol.http.Connection, whose buffer the response lies in. Its status,
                retry_s, keep, head, head_end and end tell what was read
    host        for the errors
    have        bytes of the response that have been received
    """

    def __init__(self, connection, host: str, have: int):
        self.to = connection
        self.buf = connection.buf
        self.host = host
        self.have = have
        self.at = 0  # all before that has been read

    def read(self, method: str):
        """Flow: read the response to a request of this method. Raises LinkError, ProtocolError."""
        to = self.to
        yield from self.head()
        if self.chunked and self.length != _NO_LENGTH:  # 6.3, rule 3: an attempt to smuggle
            raise ProtocolError("length", self.host)
        if method == "HEAD" or to.status in (204, 304):  # rule 1
            pass
        elif self.chunked:  # rule 4
            yield from self.chunks()
        elif self.length != _NO_LENGTH:  # rule 6
            yield from self.sized()
        else:  # rule 8: all bytes until the connection is closed
            while (yield from self.more(True)):
                pass
            to.keep = False
            to.end = self.at = self.have
        to.keep = to.keep and self.at == self.have  # nobody asked for more
        self.learn()

    def more(self, may_end: bool = False):
        """Flow: receive more → how many bytes; 0 at the end of the stream, if that may come."""
        if self.have == len(self.buf):
            raise ProtocolError("limit", self.host)
        n = yield "recv", self.to.view[self.have :]
        if not n and not may_end:
            raise LinkError("closed", self.host)
        self.have += n
        return n

    def line(self):
        """Flow: read a line → bytes without its CRLF. 2.2: a line ends with CRLF; a CR or LF alone
        is no end, and nowhere allowed."""
        start = self.at
        while True:
            end = self.buf.find(b"\n", start, self.have)
            if end >= 0:
                break
            yield from self.more()
        if end == start or self.buf.find(b"\r", start, end) != end - 1:
            raise ProtocolError("line-end", self.host)
        self.at = end + 1
        return bytes(self.to.view[start : end - 1])

    def head(self):
        """Flow: read the head. 4: HTTP-version SP status-code SP [ reason-phrase ]; the second SP
        may be missing."""
        to = self.to
        status = 0
        while status < 200:  # 9110, 15.2: an interim response; another one follows
            to.head = self.at
            line = yield from self.line()
            version, code = line[:8], line[9:12]
            status = int(code) if code.isdigit() else 0
            if (
                version not in (b"HTTP/1.1", b"HTTP/1.0")
                or line[8:9] != b" "
                or line[12:13] not in (b"", b" ")
                or status < 100
                or status == 101  # 9110, 15.2.2: no other protocol was asked for
                or b"\0" in line
            ):
                raise ProtocolError("no-http", self.host)
            to.status = status
            to.retry_s = 0
            to.keep = version == b"HTTP/1.1"  # 9.3
            self.length = _NO_LENGTH
            self.chunked = False
            yield from self.fields(True)
        to.head_end = to.end = self.at

    def fields(self, head: bool):
        """Flow: read field lines until an empty one. 5.2: a line that begins with a blank
        continues the one before it, and is replaced by blanks.

        head  do they belong to the head? Those of a trailer (7.1.2) are passed over
        """
        while True:
            start = self.at
            line = yield from self.line()
            if not line:
                return
            if self.at == self.have:
                yield from self.more()
            if self.buf[self.at] in (_SP, _HTAB):
                self.buf[self.at - 2 : self.at] = b"  "
                self.at = start
                continue
            # 5.1: field-name ":" OWS field-value OWS
            name, colon, value = line.partition(b":")
            if not colon or not name or name.strip(TOKEN) or b"\0" in value:
                raise ProtocolError("header", self.host)
            if head:
                self.field(name.lower(), value.strip(b" \t"))

    def field(self, name: bytes, value: bytes):
        """The fields that tell how the response goes on."""
        if name == b"content-length":  # 6.2, 6.3 rule 5: digits; if there are several, the same
            if not value.isdigit() or self.length not in (_NO_LENGTH, int(value)):
                raise ProtocolError("length", self.host)
            self.length = int(value)
        elif name == b"transfer-encoding":  # 6.1: no other coding was asked for
            if value.lower() != b"chunked" or self.chunked:
                raise ProtocolError("length", self.host)
            self.chunked = True
        elif name == b"connection":  # 9.6
            if b"close" in value.lower():
                self.to.keep = False
        elif name == b"retry-after" and value.isdigit() and len(value) < 7:  # 9110, 10.2.3
            self.to.retry_s = int(value)

    def sized(self):
        """Flow: read length bytes, which Content-Length (6.2) or a chunk's size tells."""
        end = self.at + self.length
        if end > len(self.buf):
            raise ProtocolError("limit", self.host)
        while self.have < end:
            yield from self.more()
        self.at = self.to.end = end

    def chunks(self):
        """Flow: read a chunked body. 7.1: chunk-size [ chunk-ext ] CRLF chunk-data CRLF; the last
        one has size 0, and a trailer follows. 7.1.1: unknown extensions are passed over.

        The data is moved behind that of the chunk before, so that the body is in one piece.
        """
        to = self.to
        end = to.end
        while True:
            line = yield from self.line()
            size = line.split(b";")[0].rstrip()
            if not size or size.strip(TOKEN[9:31]):  # HEXDIG
                raise ProtocolError("chunk", self.host)
            size = int(size, 16)
            if not size:
                break
            start = self.at
            self.length = size + 2
            yield from self.sized()
            if self.buf[self.at - 2 : self.at] != b"\r\n":
                raise ProtocolError("chunk", self.host)
            to.view[end : end + size] = to.view[start : start + size]
            end += size
        to.end = end
        yield from self.fields(False)

    def learn(self):
        """Remember a 204 to know the next one by (microdps.protocol.http.Connection.take_usual):
        what is the same in all, and where it lies."""
        to = self.to
        if to.status != 204 or not to.keep or to.retry_s or to.head:
            return
        head = bytes(to.view[: self.have])
        lower = head.lower()
        ends = []
        for name in (b"\r\nx-ms-request-id: ", b"\r\ndate: "):
            at = lower.find(name) + len(name)
            if at >= len(name):
                ends.append((at, head.find(b"\r", at)))
        to.usual = []
        start = 0
        for at, end in sorted(ends):
            to.usual.append((start, head[start:at]))
            start = end
        to.usual.append((start, head[start:]))
