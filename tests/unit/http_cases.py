"""Responses, right and wrong, for the tests of the HTTP client."""

# RFC 9112, 6 and 7: how a body is framed; RFC 9110, 15: answers that have none.
# (method, response, status, body, can the connection be kept)
RIGHT = (
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    ("GET", b"HTTP/1.1 200 OK\r\ncONTENT-lENGTH:5\r\n\r\nhello", 200, b"hello", True),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: \t 005 \t\r\n\r\nhello", 200, b"hello", True),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    (
        "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    (
        "GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        200,
        b"hello world",
        True,
    ),
    (
        "GET",
        b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: CHUNKED\r\n\r\n"
        b"00A;name=value;flag\r\n0123456789\r\n1 \r\nx\r\n000\r\nExpires: never\r\nX: y\r\n\r\n",
        202,
        b"0123456789x",
        True,
    ),
    ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b"", True),
    (
        "POST",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n\r\n",
        204,
        b"",
        True,
    ),
    ("POST", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n", 304, b"", True),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, b"", True),
    ("GET", b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True),
    ("GET", b"HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx", 404, b"x", True),
    ("GET", b"HTTP/1.1 500 Ori\xc3\xabntatie\r\nContent-Length: 1\r\n\r\nx", 500, b"x", True),
    (
        "PUT",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    (
        "GET",
        b"HTTP/1.1 200 OK\r\nX-Folded: one\r\n\ttwo\r\n three\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    ("GET", b"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    (
        "GET",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        False,
    ),
    (
        "GET",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        False,
    ),
    ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
)

# Bodies that end with the connection (RFC 9112, 6.3, rule 8).
UNFRAMED = (
    (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", b"all of this"),
    (b"HTTP/1.0 200 OK\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\n\r\n", b"1\r\n2\r\n"),
)

# (response, code of the error)
WRONG = (
    (b"<html>", "no-http"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "no-http"),
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "no-http"),
    (b"http/1.1 200 OK\r\n\r\n", "no-http"),
    (b"HTTP/2 200\r\n\r\n", "no-http"),
    (b"HTTP/0.9 200 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.1  200 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.1 20 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.1 2000 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.1 2x0 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.1 099 Low\r\n\r\n", "no-http"),
    (b"HTTP/1.1 -20 OK\r\n\r\n", "no-http"),
    (b"HTTP/1.\r\n\r\n", "no-http"),
    (b"HTTP/1.1\r\n\r\n", "no-http"),
    (b"HTTP/1.1 \r\n\r\n", "no-http"),
    (b"HTTP/1.1 2\r\n\r\n", "no-http"),
    (b"HTTP/1.1 20\r\n\r\n", "no-http"),
    (b"HTTP/1.1 200 OK\n\n", "line-end"),
    (b"\nHTTP/1.1 200 OK\r\n\r\n", "line-end"),
    (b"\n\r\n", "line-end"),
    (b"HTTP/1.1 200 OK\r\n\nX: y\r\n\r\n", "line-end"),
    (b"HTTP/1.1 200 OK\r\nX: y\r\r\n\r\n", "line-end"),
    (b"HTTP/1.1 200 O\rK\r\n\r\n", "line-end"),
    (b"HTTP/1.1 200 O\0K\r\n\r\n", "no-http"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no-http"),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 200, "limit"),
    (b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", "header"),
    (b"HTTP/1.1 200 OK\r\nBad name: x\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nB\xc3\xa4d: x\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nBad(name): x\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\n folded: first\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "line-end"),
    (b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nX:\0\r\n\r\n", "header"),
    (b"HTTP/1.1 200 OK\r\nX: a\n\r\n", "line-end"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n 6\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "length"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "length"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "length",
    ),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "length",
    ),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "length"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", "length"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "length"),
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WRONG_CHUNKS = (
    (b"x\r\n", "chunk"),
    (b"\r\nhello", "chunk"),
    (b"-5\r\nhello\r\n", "chunk"),
    (b"+5\r\nhello\r\n", "chunk"),
    (b" 5\r\nhello\r\n", "chunk"),
    (b"0x5\r\nhello\r\n", "chunk"),
    (b"1_0\r\n", "chunk"),
    (b"g\r\n", "chunk"),
    (b"h\r\n", "chunk"),
    (b"G\r\n", "chunk"),
    (b";ext\r\n", "chunk"),
    (b"5\nhello\r\n0\r\n\r\n", "line-end"),
    (b"5\r\nhelloXY", "chunk"),
    (b"5\r\nhello\r\r", "chunk"),
    (b"5\r\nhello\n0\r\n\r\n", "chunk"),
    (b"5\r\nhello\r\n0\r\nNo colon\r\n\r\n", "header"),
    (b"0\r\n: no name\r\n\r\n", "header"),
    (b"1001\r\n", "limit"),
    (b"fffffffff\r\n", "limit"),
    (b"1;" + b"x" * 4096 + b"\r\n", "limit"),
    (b"0\r\n" + b"T: x\r\n" * 700 + b"\r\n", "limit"),
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(connection, peer, method="GET", host="peer", body=None, timeout_ms=5000):
    peer.run(connection.request(method, host, "/", b"", body, timeout_ms))
    return connection.status, bytes(connection.view[connection.head_end : connection.end])
