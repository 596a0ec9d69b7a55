"""One HTTP/1.1 request and its response: a flow, which does no I/O of its own.

A flow is a generator. It yields what it needs and is handed what came of it; a driver
(microdps.link) does the work. This is the whole list:

    ("open", name, port, deadline)   a TLS connection to name:port, closing any other
    ("send", buffer, deadline)       all of the buffer, after the TLS handshake if that is due
    ("recv", buffer, deadline)       → bytes received, 1 to len(buffer); 0: the peer has closed.
                                     With deadline None it does not wait: None, nothing has come
    ("close",)
    ("sleep", ms)
    ("now",)                         → ms since some start; never wraps

A deadline is a value of "now". What fails is thrown into the flow as a LinkError, and the
connection is closed then. The buffer of a "recv" is read only after it was answered.

Sources: RFC 9110 and RFC 9112 (2022-06), whose sections are named below.
"""

from micropython import const

from microdps.errors import LinkError, ProtocolError

_NOW = ("now",)
_CLOSE = ("close",)

# Limits in bytes, lines and answers; head and body together must fit the buffer as well.
_STATUS_LINE = const(256)
_HEADER_LINE = const(1024)
_HEADERS = const(64)
_INTERIM = const(8)
_REDIRECTS = const(5)

# Connection._length where it is no Content-Length.
_UNTIL_CLOSE = const(-1)
_CHUNKED = const(-2)

# What a chunked body consists of (RFC 9112, 7.1).
_SIZE = const(0)
_DATA = const(1)
_DATA_END = const(2)
_TRAILER = const(3)

# RFC 9110, 5.6.2. A name is a token when strip() leaves nothing of it.
_TOKEN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!#$%&'*+.^`|~"
_HEX = b"0123456789abcdefABCDEF"


def visible(text: str) -> bool:
    """True if the text has no space, control or non-ASCII character: it cannot split a head."""
    for byte in text.encode():
        if not 32 < byte < 127:
            return False
    return True


def quote(text: str) -> str:
    """Percent-encode all but RFC 3986's unreserved characters: an ID is one path segment."""
    out = ""
    for b in text.encode():
        plain = 48 <= b <= 57 or 65 <= b <= 90 or 97 <= b <= 122 or b in b"-._~"
        out += chr(b) if plain else "%%%02X" % b
    return out


def split_host(host: str):
    """Split `name`, `name:port` or `[IPv6]:port` → (name, port); the port is 443 if none is given.

    Raises ValueError if the name is empty or holds what no host name has, or the port is no
    number from 1 to 65535.
    """
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, "443"
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif ":" in name:
        name = ""
    if not name or name.encode().strip(_TOKEN + b":") or not port.isdigit():
        raise ValueError("host: " + host)
    if len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError("port: " + host)
    return name, int(port)


def split_url(url: str):
    """Split `https://host[:port]/path?query#fragment` → (host, path with query).

    Raises ValueError if it is no https URL, names a user, or holds a space or a control character.
    """
    if url[:8].lower() != "https://" or not visible(url):
        raise ValueError("not an https URL: " + url)
    rest = url[8:].split("#", 1)[0]
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    host, path = rest[:end], rest[end:]
    split_host(host)
    return host, path if path[:1] == "/" else "/" + path


class Connection:
    """A kept-alive connection to one host at a time, and the last response that came on it.

    size  bytes of the only buffer: a request of up to that size is one write, and a response,
          head and body, must fit it
    log   None, or a function that is handed a line of text for each answer

    After request(): status (int), body (memoryview) and header(), valid until the next request.
    After a LinkError or a ProtocolError the connection is closed, and can be used again.
    """

    def __init__(self, size: int = 4096, log=None):
        self.buf = bytearray(size)
        self.view = memoryview(self.buf)
        self.log = log
        self.status = 0
        self.body = self.view[:0]
        self._host: str | None = None  # the host that the open connection leads to
        self._target: tuple | None = None  # what _head was made for
        self._head = b""
        self._lines = self._end = 0  # the response's header lines lie between these
        self._length = 0  # of the response's body, or one of the constants above
        self._keep = False  # can the connection be used again after this response?
        self._folds = False  # may a folded line follow?

    def forget(self):
        """The driver has closed the connection: the next request opens one."""
        self._host = None

    def header(self, name: str):
        """Value of the response's first header of that name, in any case → bytes, or None."""
        want = name.lower().encode() + b":"
        at = self._lines
        while at < self._end:
            eol = self.buf.find(b"\r\n", at, self._end)
            colon = at + len(want)
            if bytes(self.view[at:colon]).lower() == want:
                return bytes(self.view[colon:eol]).strip(b" \t")
            at = eol + 2
        return None

    def request(self, method: str, host: str, path: str, fields: bytes, body, timeout_ms: int):
        """Flow: send a request and read its response, following 307 and 308.

        method      "GET", "PUT", …
        host        `name` or `name:port`
        path        with its query, percent-encoded
        fields      header lines, each ended by CRLF, without Host and Content-Length
        body        bytes-like, or None for none
        timeout_ms  for all of it: connecting, the handshake, redirects, the last byte

        Raises LinkError, ProtocolError; ValueError if host or path cannot stand in a request.

        Long, for what it is made of would be generators: each is an allocation.
        """
        start = yield _NOW
        deadline = start + timeout_ms
        redirects = 0
        while True:
            head = self._request_head((method, host, path, fields))
            kept = False
            if self._host == host:
                # Closed by the server meanwhile, or holding bytes that nobody asked for: not fit.
                try:
                    kept = (yield "recv", self.view, None) is None
                except LinkError:
                    pass
            self._host = None  # until the response has been read to its end
            if not kept:
                name, port = split_host(host)
                yield "open", name, port, deadline
            try:
                n = self._fill(head, body)
                fits = body and n + len(body) <= len(self.buf)
                if fits:
                    self.buf[n : n + len(body)] = body
                    n += len(body)
                yield "send", self.view[:n], deadline
                if body and not fits:
                    yield "send", body, deadline
                yield from self._response(method, host, deadline)
            except ProtocolError:
                yield _CLOSE
                raise
            except LinkError as error:
                # The server closed the kept connection just now. Only what changes nothing is
                # asked again (RFC 9110, 9.2.2): once, for the next connection is no kept one.
                if kept and method in ("GET", "HEAD") and error.args[0] == "closed":
                    continue
                raise
            if self._keep:
                self._host = host
            else:
                yield _CLOSE
            if self.log:
                ms = (yield _NOW) - start
                plain = path.split("?", 1)[0]
                self.log("%s %s%s: %d in %d ms" % (method, host, plain, self.status, ms))
            if self.status != 307 and self.status != 308:
                return
            redirects += 1
            if redirects > _REDIRECTS:
                raise ProtocolError("redirects", host)
            host, path = self._redirect(host)

    def _request_head(self, target) -> bytes:
        """The head up to Content-Length, made once for as long as the target stays the same."""
        if target != self._target:
            method, host, path, fields = target
            if not visible(host) or not visible(path) or path[:1] != "/":
                raise ValueError("cannot stand in a request: " + host + path)
            head = "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, host)
            head = head.encode() + fields
            if len(head) > len(self.buf) - 32:
                raise ValueError("request head over %d bytes" % (len(self.buf) - 32))
            self._head = head
            self._target = target
        return self._head

    def _fill(self, head: bytes, body) -> int:
        """Write the request's head, for this body, into the buffer → bytes written."""
        n = len(head)
        line = b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n" % len(body)
        self.buf[:n] = head
        self.buf[n : n + len(line)] = line
        return n + len(line)

    def _redirect(self, host: str):
        """Where a 307 or 308 leads → (host, path). To https only."""
        try:
            url = (self.header("location") or b"").decode()
            if url[:2] == "//":
                url = "https:" + url
            elif url[:1] == "/":
                url = "https://" + host + url
            return split_url(url)
        except ValueError:  # a UnicodeError is one
            raise ProtocolError("redirect", host)

    def _response(self, method: str, host: str, deadline: int):
        """Flow: read the response, interim answers passed over (RFC 9110, 15.2).

        Long for the same reason.
        """
        buf = self.buf
        view = self.view
        have = at = 0  # bytes in the buffer; where the line begins
        lines = interim = 0
        while True:
            limit = _HEADER_LINE if lines else _STATUS_LINE
            code = "header-line" if lines else "status-line"
            eol = self._line_end(at, have, limit, code, host)
            if eol < 0:
                if have == len(buf):
                    raise ProtocolError("head-limit", host)
                n = yield "recv", view[have:], deadline
                if not n:
                    self._cut_off(have + interim, host)
                have += n
                continue
            if lines == 0:
                self._status_line(eol - 1, host)
                self._lines = eol + 1
            elif eol - 1 > at:
                self._header_line(at, eol - 1, lines, host)
            elif self.status < 200:
                interim += 1
                if interim > _INTERIM or self.status == 101:
                    raise ProtocolError("interim", host)
                have -= eol + 1
                view[:have] = view[eol + 1 : eol + 1 + have]
                lines = at = 0
                continue
            else:
                break
            lines += 1
            at = eol + 1
        self._end = at
        at += 2
        end = at
        if method == "HEAD" or self.status == 204 or self.status == 304:
            pass
        elif self._length == _CHUNKED:
            have = yield from self._chunks(at, have, host, deadline)
            end = have
        else:
            # Until it is closed: to the end of the buffer, which it must not reach.
            end = len(buf) if self._length == _UNTIL_CLOSE else at + self._length
            if end > len(buf):
                raise ProtocolError("body-limit", host)
            while have < end:
                n = yield "recv", view[have:], deadline
                if not n and self._length >= 0:
                    self._cut_off(have, host)
                have += n
                if not n:
                    end = have
            if self._length == _UNTIL_CLOSE:
                self._keep = False
                if end == len(buf):
                    raise ProtocolError("body-limit", host)
        self.body = view[at:end]
        if have != end:
            self._keep = False  # more than the response: not to be taken for the next one

    def _cut_off(self, have: int, host: str):
        """The peer has closed before the response was complete."""
        if have:
            raise ProtocolError("truncated", host)
        raise LinkError("closed", host)

    def _line_end(self, at: int, have: int, limit: int, code: str, host: str) -> int:
        """Where the line feed of the line at `at` is, or -1 if it has not come yet."""
        buf = self.buf
        eol = buf.find(b"\n", at, have)
        if (have if eol < 0 else eol) - at > limit:
            raise ProtocolError(code + "-limit", host)
        if eol >= 0 and (buf.find(b"\r", at, eol) != eol - 1 or buf.find(b"\0", at, eol) >= 0):
            raise ProtocolError(code, host)
        return eol

    def _status_line(self, end: int, host: str):
        """Take the status line (RFC 9112, 4), which ends before `end`; it may lack the reason."""
        line = bytes(self.view[:end])
        version, code, rest = line[:9], line[9:12], line[12:13]
        if (
            (version != b"HTTP/1.1 " and version != b"HTTP/1.0 ")
            or len(code) != 3
            or not code.isdigit()
            or code < b"100"
            or (rest and rest != b" ")
        ):
            raise ProtocolError("status-line", host)
        self.status = int(code)
        self._keep = version == b"HTTP/1.1 "
        self._length = _UNTIL_CLOSE
        self._folds = False

    def _header_line(self, at: int, end: int, count: int, host: str):
        """Take the header line in at:end, the count-th, and what it says of the body's framing."""
        if count > _HEADERS:
            raise ProtocolError("header-count-limit", host)
        if self.buf[at] in b" \t":
            # A folded line (RFC 9112, 5.2) becomes one, but not where it would change the framing.
            if not self._folds:
                raise ProtocolError("header-line", host)
            self.buf[at - 2 : at] = b"  "
            return
        colon = self._name_end(at, end, host)
        self._folds = True
        if self.buf[at] not in b"CcTt":
            return
        name = bytes(self.view[at:colon]).lower()
        value = bytes(self.view[colon + 1 : end]).strip(b" \t").lower()
        self._folds = False
        if name == b"content-length":
            if not value.isdigit():
                raise ProtocolError("length", host)
            if len(value) > 9:
                raise ProtocolError("body-limit", host)
            if self._length != _UNTIL_CLOSE and self._length != int(value):
                raise ProtocolError("length", host)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if value != b"chunked" or self._length != _UNTIL_CLOSE:
                raise ProtocolError("transfer-encoding", host)
            self._length = _CHUNKED
        elif name == b"connection" and b"close" in value:
            self._keep = False

    def _name_end(self, at: int, end: int, host: str) -> int:
        """Where the colon is that ends the header's name in at:end."""
        colon = self.buf.find(b":", at, end)
        if colon <= at or bytes(self.view[at:colon]).strip(_TOKEN):
            raise ProtocolError("header-line", host)
        return colon

    def _chunks(self, end: int, have: int, host: str, deadline: int):
        """Flow: unpack a chunked body in place (RFC 9112, 7.1) → where it ends."""
        buf = self.buf
        view = self.view
        raw = end  # the body ends at end; what has come and is not looked at yet lies in raw:have
        part = _SIZE
        left = lines = 0
        while True:
            if part == _DATA:
                n = min(left, have - raw)
                view[end : end + n] = view[raw : raw + n]
                end += n
                raw += n
                left -= n
                if not left:
                    part = _DATA_END
                    continue
            elif part == _DATA_END:
                if bytes(view[raw:have])[:2] == b"\r\n":
                    raw += 2
                    part = _SIZE
                    continue
                if have - raw >= 2 or (have > raw and buf[raw] != 13):
                    raise ProtocolError("chunk", host)
            else:
                eol = self._line_end(raw, have, _HEADER_LINE, "chunk", host)
                if eol >= 0:
                    if part == _SIZE:
                        left = self._chunk_size(raw, eol - 1, host)
                        if left > len(buf) - end:
                            raise ProtocolError("body-limit", host)
                        part = _DATA if left else _TRAILER
                    elif eol - 1 > raw:
                        lines += 1
                        if lines > _HEADERS:
                            raise ProtocolError("header-count-limit", host)
                        self._name_end(raw, eol - 1, host)
                    else:
                        if have != eol + 1:
                            self._keep = False
                        return end
                    raw = eol + 1
                    continue
            have -= raw - end
            view[end:have] = view[raw : raw + have - end]
            raw = end
            if have == len(buf):
                raise ProtocolError("body-limit", host)
            n = yield "recv", view[have:], deadline
            if not n:
                self._cut_off(have, host)
            have += n

    def _chunk_size(self, at: int, end: int, host: str) -> int:
        """Size in the chunk's line in at:end, its extensions passed over (RFC 9112, 7.1.1)."""
        size = bytes(self.view[at:end]).split(b";", 1)[0].rstrip(b" \t")
        if not size or size.strip(_HEX):
            raise ProtocolError("chunk", host)
        if len(size) > 8:
            raise ProtocolError("body-limit", host)
        return int(size, 16)
