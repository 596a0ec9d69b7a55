"""One HTTP/1.1 request and its response: a flow, which does no I/O of its own.

A flow is a generator. It yields what it needs, always as (what, argument, deadline), and is handed
what came of it; a driver (microdps.link) does the work. This is the whole list:

    ("open", (name, port), deadline)  a TLS connection to name:port, closing any other
    ("send", buffer, deadline)        all of the buffer, after the TLS handshake if that is due
    ("recv", buffer, deadline)        → bytes received, 1 to len(buffer); 0: the peer has closed.
                                      With deadline None it does not wait: None, nothing has come
    ("close", None, None)
    ("sleep", ms, None)
    ("now", None, None)               → ms since some start; never wraps

A deadline is a value of "now". What fails is thrown into the flow as a LinkError, and the
connection is closed then. The buffer of a "recv" is read only after it was answered.

Sources: RFC 9110 and RFC 9112 (2022-06), whose sections are named below.
"""

from micropython import const

from microdps.errors import LinkError, ProtocolError

NOW = ("now", None, None)
CLOSE = ("close", None, None)

# Limits in bytes, lines and answers; head and body together must fit the buffer as well.
_STATUS_LINE = const(256)
_HEADER_LINE = const(1024)
_HEADERS = const(64)
_INTERIM = const(8)
_REDIRECTS = const(5)

# What is read next. The lines come first (those up to _TRAILER), then what is counted in bytes.
_STATUS = const(0)
_HEADER = const(1)
_CHUNK_END = const(2)
_CHUNK = const(3)
_TRAILER = const(4)
_CHUNK_DATA = const(5)
_BODY = const(6)

# Connection._length where it is no Content-Length.
_UNTIL_CLOSE = const(-1)
_CHUNKED = const(-2)

# RFC 9110, 5.6.2: a name is a token when strip() leaves nothing of it. RFC 3986, 2.3: the first 66
# are those that stand for themselves in a path.
_TOKEN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!#$%&'*+^`|"


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
        char = chr(b)
        out += char if b < 128 and char.encode() in _TOKEN[:66] else "%%%02X" % b
    return out


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


def split_url(url: str):
    """Split `https://host[:port]/path?query#fragment` → (host, path with query).

    Raises ValueError if it is no https URL, names a user, or holds a space or a control character.
    """
    host, slash, path = url[8:].split("#")[0].partition("/")
    host, mark, query = host.partition("?")
    split_host(host)
    if url[:8].lower() != "https://" or not visible(url):
        raise ValueError("not an https URL: " + url)
    return host, "/" + mark + query + (slash if mark else "") + path


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
        self._end = 0  # of the response's head
        self._length = 0  # of the response's body, or one of the constants above
        self._keep = False  # can the connection be used again after this response?
        self._folds = False  # may a folded line follow?

    def forget(self):
        """The driver has closed the connection: the next request opens one."""
        self._host = None

    def header(self, name: str):
        """Value of the response's first header of that name, in any case → bytes, or None."""
        want = b"\n" + name.lower().encode() + b":"
        n = len(want)
        at = -1
        while True:
            at = self.buf.find(b"\n", at + 1, self._end)
            if at < 0:
                return None
            if bytes(self.view[at : at + n]).lower() == want:
                return bytes(self.view[at + n : self.buf.find(b"\r", at)]).strip(b" \t")

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
        start = yield NOW
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
                yield "open", split_host(host), deadline
            n = len(head)
            line = b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n" % len(body)
            self.buf[:n] = head
            self.buf[n : n + len(line)] = line
            n += len(line)
            apart = body
            if body and n + len(body) <= len(self.buf):
                self.buf[n : n + len(body)] = body
                n += len(body)
                apart = None
            written = False
            try:
                yield "send", self.view[:n], deadline
                written = True
                if apart:
                    yield "send", apart, deadline
                yield from self._response(method, host, deadline)
            except ProtocolError:
                yield CLOSE
                raise
            except LinkError as error:
                error.written = error.written or written
                # The server closed the kept connection just now. Only what changes nothing is
                # asked again (RFC 9110, 9.2.2): once, for the next connection is no kept one.
                if kept and method in ("GET", "HEAD") and error.args[0] == "closed":
                    continue
                raise
            if self._keep:
                self._host = host
            else:
                yield CLOSE
            if self.log:
                ms = (yield NOW) - start
                plain = path.split("?")[0]
                self.log("%s %s%s: %d in %d ms" % (method, host, plain, self.status, ms))
            if self.status not in (307, 308):
                return
            redirects += 1
            if redirects > _REDIRECTS:
                raise ProtocolError("redirects", host)
            host, path = self._redirect(host)

    def _request_head(self, target) -> bytes:
        """The head up to Content-Length, made once for as long as the target stays the same."""
        if target != self._target:
            method, host, path, fields = target
            head = ("%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, host)).encode() + fields
            if not visible(host + path) or path[:1] != "/" or len(head) > len(self.buf) - 32:
                raise ValueError("no request: " + host + path)
            self._head = head
            self._target = target
        return self._head

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
        """Flow: read the response into the buffer, interim answers passed over (RFC 9110, 15.2).

        What is kept lies in :end, what has come and is not looked at yet in at:have. A chunked
        body (RFC 9112, 7.1) is unpacked in place. Long for the same reason as request().
        """
        buf = self.buf
        view = self.view
        have = at = end = left = lines = interim = part = 0
        while True:
            if part > _TRAILER:
                n = min(left, have - at)
                if at > end:
                    view[end : end + n] = view[at : at + n]
                at += n
                end += n
                left -= n
                if not left:
                    if part == _BODY:
                        break
                    part = _CHUNK_END
                    continue
            else:
                line = at
                eol = self._line_end(at, have, part, host)
                if eol >= 0:
                    at = eol + 1
                    if part == _STATUS:
                        self._status_line(eol - 1, host)
                        part = _HEADER
                        end = at
                    elif part == _CHUNK:
                        left = self._chunk_size(line, eol - 1, len(buf) - end, host)
                        part = _CHUNK_DATA if left else _TRAILER
                    elif eol - 1 > line:
                        lines += 1
                        if lines > _HEADERS:
                            raise ProtocolError("header-count-limit", host)
                        self._header_line(line, eol - 1, part == _HEADER, host)
                        if part == _HEADER:
                            end = at
                    elif part == _CHUNK_END:
                        part = _CHUNK
                    elif part == _TRAILER:
                        break
                    elif self.status < 200:
                        interim += 1
                        if interim > _INTERIM or self.status == 101:
                            raise ProtocolError("interim", host)
                        have -= at
                        view[:have] = view[at : at + have]
                        at = end = lines = part = 0
                    else:
                        self._end = end = at
                        left = self._length
                        if method == "HEAD" or self.status in (204, 304):
                            left = 0
                        part = _CHUNK if left == _CHUNKED else _BODY
                        if left == _UNTIL_CLOSE:
                            self._keep = False
                            left = len(buf)  # more than there is room for
                        elif left > len(buf) - end:
                            raise ProtocolError("body-limit", host)
                    continue
            if at > end:
                have -= at - end
                view[end:have] = view[at : at + have - end]
                at = end
            if have == len(buf):
                raise ProtocolError("body-limit" if part > _HEADER else "head-limit", host)
            n = yield "recv", view[have:], deadline
            if not n:
                if part == _BODY and self._length == _UNTIL_CLOSE:
                    break
                if have + interim:
                    raise ProtocolError("truncated", host)
                raise LinkError("closed", host)
            have += n
        self.body = view[self._end : end]
        if have != at:
            self._keep = False  # more than the response: not to be taken for the next one

    def _line_end(self, at: int, have: int, part: int, host: str) -> int:
        """Where the line feed of the line at `at` is, or -1 if it has not come yet."""
        code = ("status-line", "header-line", "chunk", "chunk", "header-line")[part]
        limit = (_STATUS_LINE, _HEADER_LINE, 1, _HEADER_LINE, _HEADER_LINE)[part]
        eol = self.buf.find(b"\n", at, have)
        if (have if eol < 0 else eol) - at > limit:
            raise ProtocolError(code if limit == 1 else code + "-limit", host)
        if eol >= 0 and (
            self.buf.find(b"\r", at, eol) != eol - 1 or self.buf.find(b"\0", at, eol) >= 0
        ):
            raise ProtocolError(code, host)
        return eol

    def _status_line(self, end: int, host: str):
        """Take the status line (RFC 9112, 4), which ends before `end`; it may lack the reason."""
        buf = self.buf
        code = bytes(self.view[9 : min(end, 12)])
        if buf.find(b"HTTP/1.", 0, 7) or buf[7] not in b"01" or buf[8] != 32 or len(code) < 3:
            raise ProtocolError("status-line", host)
        if not code.isdigit() or code < b"100" or (end > 12 and buf[12] != 32):
            raise ProtocolError("status-line", host)
        self.status = int(code)
        self._keep = buf[7] == 49  # HTTP/1.1
        self._length = _UNTIL_CLOSE
        self._folds = False

    def _header_line(self, at: int, end: int, head: bool, host: str):
        """Take the header or trailer line in at:end, and what it says of the body's framing."""
        if head and self._folds and self.buf[at] in b" \t":
            self.buf[at - 2 : at] = b"  "  # a folded line (RFC 9112, 5.2) becomes one
            return
        colon = self.buf.find(b":", at, end)
        name = bytes(self.view[at : max(at, colon)])
        if not name or name.strip(_TOKEN):
            raise ProtocolError("header-line", host)
        self._folds = True
        if not head or name[0] not in b"CcTt":
            return
        name = name.lower()
        value = bytes(self.view[colon + 1 : end]).strip(b" \t")
        if name == b"content-length":
            if not value.isdigit() or self._length not in (_UNTIL_CLOSE, int(value)):
                raise ProtocolError("length", host)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self._length != _UNTIL_CLOSE:
                raise ProtocolError("transfer-encoding", host)
            self._length = _CHUNKED
        else:
            if name == b"connection" and b"close" in value.lower():
                self._keep = False
            return
        self._folds = False  # it would change the framing

    def _chunk_size(self, at: int, end: int, room: int, host: str) -> int:
        """Size in the chunk's line in at:end, its extensions passed over (RFC 9112, 7.1.1)."""
        size = bytes(self.view[at:end]).split(b";")[0].rstrip(b" \t")
        if not size or size.strip(b"0123456789abcdefABCDEF"):
            raise ProtocolError("chunk", host)
        n = int(size, 16)
        if n > room:
            raise ProtocolError("body-limit", host)
        return n
