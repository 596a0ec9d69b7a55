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

# The header lines of the how-to; DPS and IoT Hub both ask for them.
FIELDS = b"Content-Type: application/json\r\nContent-Encoding: utf-8\r\n"

# Limits in bytes, lines and answers; head and body together must fit the buffer as well.
_STATUS_LINE = const(256)
_LINE = const(1024)
_HEADERS = const(64)
_INTERIM = const(8)

# What is still to come of a response, where it is no number of bytes: its head; the line before a
# chunk; the trailer; all that comes until the connection closes.
_HEAD = const(-1)
_CHUNK = const(-2)
_TRAILER = const(-3)
_UNTIL_CLOSE = const(1 << 29)

# RFC 9110, 5.6.2: a name is a token when strip() leaves nothing of it. [1:23] are the digits of a
# chunk's size; [:66] stand for themselves in a path (RFC 3986, 2.3).
_TOKEN = b"-0123456789abcdefABCDEFghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ_.~!#$%&'*+^`|"


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
    """A kept-alive connection to one host at a time, and the last response that came on it.

    size    bytes of the only buffer: a request of up to that size is one write, and a response,
            head and body, must fit it
    log     None, or a function that is handed a line of text for each answer
    strict  judge all of each answer's head; otherwise, of a connection's answers after the first,
            only what has a bearing on the framing, which takes half the time

    After request(), until the next: status (int), body (memoryview), retry_s (Retry-After in
    seconds, 0 if there is none) and microdps.url.header().
    After a LinkError or a ProtocolError the connection is closed, and can be used again.
    """

    def __init__(self, size: int = 4096, log=None, strict: bool = True):
        self.buf = bytearray(size)
        self.view = memoryview(self.buf)
        self.log = log
        self._strict = self._always = strict
        self.status = self.retry_s = 0
        self._find = self.buf.find  # bound once: to look it up in a type of C is a long search
        self._probe = ("recv", self.view, None)
        self._host: str | None = None  # the host that the open connection leads to
        self._target: tuple | None = None  # what _head was made for
        # What is kept of a response lies in :_end, its head in :head_end; what has come and is not
        # looked at yet in _at:_have. _left is still to come: bytes, or a constant from above.
        self.head_end = self._end = self._length = 0
        self._keep = False  # can the connection be used again after this response?

    @property
    def body(self):
        """The response's body, a memoryview of the buffer."""
        return self.view[self.head_end : self._end]

    def forget(self):
        """The driver has closed the connection: the next request opens one."""
        self._host = None

    def request(self, method, host: str, path: str, fields: bytes, body, timeout_ms: int, hops=0):
        """Flow: send a request and read its response, following 307 and 308.

        method      "GET", "PUT", …
        host        `name` or `name:port`
        path        with its query, percent-encoded
        fields      header lines, each ended by CRLF, without Host and Content-Length
        body        bytes-like, or None for none
        timeout_ms  for all of it: connecting, the handshake, redirects, the last byte
        hops        redirects followed so far

        Raises LinkError, ProtocolError; ValueError if the head does not fit the buffer.

        One generator: each is an allocation.
        """
        buf = self.buf
        view = self.view
        start = yield NOW
        deadline = start + timeout_ms
        kept = written = False
        if self._host == host:
            # Closed by the server meanwhile, or holding bytes that nobody asked for: not fit.
            try:
                kept = (yield self._probe) is None
            except LinkError:
                pass
        self._host = None  # until the response has been read to its end
        n = self._put_head(method, host, path, fields, body)
        rest = body
        if body and n + len(body) <= len(buf):
            buf[n : n + len(body)] = body
            n += len(body)
            rest = None
        if not kept:
            yield "open", split_host(host), deadline
        try:
            yield "send", view[:n], deadline
            written = True
            if rest:
                yield "send", rest, deadline
            self._have = self._at = self._end = 0
            self._left = _HEAD
            self._lines = self._interim = 0
            self._strict = self._always or not kept
            while not self._take(method, host):
                n = yield "recv", view[self._have :], deadline
                if n:
                    self._have += n
                elif self._left > len(buf):  # what ends with the connection
                    break
                elif self._have + self._interim:
                    raise ProtocolError("truncated", host)
                else:
                    raise LinkError("closed", host)
        except ProtocolError:
            yield CLOSE
            raise
        except LinkError as error:
            error.written = error.written or written
            # The server closed the kept connection just now. Only what changes nothing is asked
            # again (RFC 9110, 9.2.2): once, for the next connection is no kept one.
            if not kept or method not in ("GET", "HEAD") or error.args[0] != "closed":
                raise
            again = deadline - (yield NOW)
            yield from self.request(method, host, path, fields, body, again, hops)
            return
        if self._keep and self._have == self._at:  # no more than the response has come
            self._host = host
        else:
            yield CLOSE
        if self.log:
            ms = (yield NOW) - start
            plain = path.split("?")[0]
            self.log("%s %s%s: %d in %d ms" % (method, host, plain, self.status, ms))
        if self.status in (307, 308):
            from microdps.url import follow

            yield from follow(self, method, host, fields, body, deadline, hops)

    def _put_head(self, method, host: str, path: str, fields: bytes, body) -> int:
        """Put the request's head into the buffer → its length. It is made once for a target."""
        target = (method, host, path, fields)
        if target != self._target:
            self._head = (
                "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, host)
            ).encode() + fields
            self._target = target
        head = self._head
        n = len(head)
        length = b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n" % len(body)
        if n + len(length) > len(self.buf):
            raise ValueError("no request: " + path)
        self.buf[:n] = head
        self.buf[n : n + len(length)] = length
        return n + len(length)

    def _take(self, method, host: str) -> bool:
        """Take what has come of the response → True if that is all of it; else there is room for
        more. A chunked body (RFC 9112, 7.1) is unpacked in place."""
        buf = self.buf
        view = self.view
        at = self._at
        end = self._end
        have = self._have
        left = self._left
        done = False
        while not done:
            if left >= 0:
                n = min(left, have - at)
                if at > end:
                    view[end : end + n] = view[at : at + n]
                at += n
                end += n
                left -= n
                if left:
                    break
                done = self._length >= 0
                if not done:
                    end -= 2
                    if buf[end : end + 2] != b"\r\n":
                        raise ProtocolError("chunk", host)
                    left = _CHUNK
            elif left == _HEAD:
                at = self._take_head(have, host)
                if not at:
                    break
                if self.status < 200:  # an interim answer: passed over (RFC 9110, 15.2)
                    self._interim += 1
                    if self._interim > _INTERIM or self.status == 101:
                        raise ProtocolError("interim", host)
                    have -= at
                    view[:have] = view[at : at + have]
                    at = 0
                    continue
                self.head_end = end = at
                if method == "HEAD" or self.status in (204, 304):
                    self._length = 0
                left = self._length
                if left == _UNTIL_CLOSE:
                    self._keep = False
                elif left > len(buf) - end:
                    raise ProtocolError("body-limit", host)
            else:
                line = at
                eol = buf.find(b"\n", line, have)
                if (have if eol < 0 else eol) - line > _LINE:
                    raise ProtocolError("chunk-limit", host)
                if eol < 0:
                    break
                if buf.find(b"\r", line, eol) != eol - 1:
                    raise ProtocolError("chunk", host)
                at = eol + 1
                if left == _CHUNK:
                    left = self._chunk_size(line, eol - 1, len(buf) - end, host)
                elif at - line > 2:
                    self._lines += 1
                    if self._lines > _HEADERS:
                        raise ProtocolError("header-count-limit", host)
                    if buf.find(b":", line, eol) <= line:
                        raise ProtocolError("header-line", host)
                else:
                    done = True
        if at > end and not done:
            have -= at - end
            view[end:have] = view[at : at + have - end]
            at = end
        self._at = at
        self._end = end
        self._have = have
        self._left = left
        if have == len(buf) and not done:
            raise ProtocolError("head-limit" if left == _HEAD else "body-limit", host)
        return done

    def _take_head(self, have: int, host: str) -> int:
        """Take the head, from its begin → where it ends; 0 if more of it is to come."""
        buf = self.buf
        find = self._find
        strict = self._strict
        at = find(b"\n", 0, have) + 1
        if (at or have) > _STATUS_LINE + 1:
            raise ProtocolError("status-line-limit", host)
        if not at:
            return 0
        # RFC 9112, 4: HTTP/1.0 or 1.1, a space, three digits; the reason may be missing.
        good = find(b"HTTP/1.", 0, 7) == 0 and 47 < buf[7] < 50 and buf[8] == 32
        good = good and 48 < buf[9] < 58 and 47 < buf[10] < 58 and 47 < buf[11] < 58
        if not good or buf[12] not in b" \r" or find(b"\r", 0, at) != at - 2:
            raise ProtocolError("status-line", host)
        self.status = buf[9] * 100 + buf[10] * 10 + buf[11] - 5328
        self._keep = buf[7] == 49  # HTTP/1.1
        self._length = _UNTIL_CLOSE
        self.retry_s = lines = 0
        folds = False  # may a folded line (RFC 9112, 5.2) follow?
        while True:
            line = at
            at = find(b"\n", line, have) + 1
            if (at or have) - line > _LINE + 1:
                raise ProtocolError("header-line-limit", host)
            if not at:
                return 0
            first = buf[line]
            if buf[at - 2] != 13 or (strict and find(b"\r", line, at) != at - 2):
                raise ProtocolError("header-line", host)
            if first == 13:
                if strict and find(b"\0", 0, at) >= 0:
                    raise ProtocolError("header-line", host)
                return at
            lines += 1
            if lines > _HEADERS:
                raise ProtocolError("header-count-limit", host)
            if folds and (first == 32 or first == 9):
                buf[line - 2 : line] = b"  "
                continue
            colon = find(b":", line, at)
            if colon <= line:
                raise ProtocolError("header-line", host)
            first |= 32
            folds = first != 99 and first != 114 and first != 116
            if strict or not folds:
                folds = self._field(line, colon, at - 2, host)

    def _field(self, at: int, colon: int, end: int, host: str) -> bool:
        """Take the header in at:end → may its line be folded? Not if that changed the framing."""
        buf = self.buf
        name = buf[at:colon].lower()
        if name.strip(_TOKEN) if self._strict else self._find(b" ", at, colon) > 0:
            raise ProtocolError("header-line", host)
        value = buf[colon + 1 : end].strip(b" \t")
        if name == b"content-length":
            if not value.isdigit() or self._length not in (_UNTIL_CLOSE, int(value)):
                raise ProtocolError("length", host)
            self._length = int(value)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or self._length != _UNTIL_CLOSE:
                raise ProtocolError("transfer-encoding", host)
            self._length = _CHUNK
        else:
            if name == b"connection" and value.lower().find(b"close") >= 0:
                self._keep = False
            elif name == b"retry-after" and value.isdigit() and len(value) < 7:
                self.retry_s = int(value)
            return True
        return False

    def _chunk_size(self, at: int, end: int, room: int, host: str) -> int:
        """What the chunk's line in at:end announces (RFC 9112, 7.1.1; its extensions passed over):
        the bytes of its data and the CRLF after it, or _TRAILER."""
        size = bytes(self.view[at:end]).split(b";")[0].rstrip(b" \t")
        if not size or size.strip(_TOKEN[1:23]):
            raise ProtocolError("chunk", host)
        n = int(size, 16)
        if n > room:
            raise ProtocolError("body-limit", host)
        return n + 2 if n else _TRAILER
