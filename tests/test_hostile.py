"""One Client gets hostile answers, one after the other, over mutual TLS.

Each of them ends in an error of ours before the deadline, and the client stays usable.
"""

import re

import http_cases
from helpers import peers
from helpers.programs import run_program

TIMEOUT_MS = 700
OK = http_cases.OK
HEAD = b"HTTP/1.1 200 OK\r\n"


def repeated(data, count=3000):
    """A handler that sends the same bytes for as long as the client reads."""

    def send(connection):
        for _ in range(count):
            connection.sendall(data)

    return send


def stalled(data):
    """A handler that sends a part of an answer, and nothing more."""

    def send(connection):
        connection.sendall(data)
        peers.until_closed(connection)

    return send


# The answer, and a pattern of the error's code. The answer is bytes, and then the connection is
# closed; or it is a function that gets the connection.
HOSTILE = [
    # An answer that ends within its first line is truncated, whatever the line says.
    *((text, code if b"\n" in text else "truncated") for text, code in http_cases.WRONG),
    *((http_cases.CHUNKED + chunks, code) for chunks, code in http_cases.WRONG_CHUNKS),
    (b"", "closed"),
    (OK[:-1], "truncated"),
    (OK[:30], "truncated"),
    (http_cases.CHUNKED + b"2\r\nok\r\n", "truncated"),
    (http_cases.CHUNKED + b"2\r\nok\r\n0\r\n", "truncated"),
    (stalled(b""), "timeout-answer"),
    (stalled(HEAD), "timeout-answer"),
    (stalled(HEAD + b"X: y"), "timeout-answer"),
    (stalled(HEAD + b"Content-Length: 5\r\n\r\nhell"), "timeout-answer"),
    (stalled(HEAD + b"\r\nuntil the end, which does not come"), "timeout-answer"),
    (stalled(http_cases.CHUNKED + b"5\r\nhello\r\n"), "timeout-answer"),
    (repeated(b"HTTP/1.1 100 Continue\r\n\r\n"), "limit"),
    (repeated(b"x" * 4096), "limit"),
    (repeated(HEAD + b"X" * 5000), "limit"),
    (repeated(HEAD), "header"),
    (repeated(b"HTTP/1.1 200 " + b"y" * 4000), "limit"),
    (repeated(HEAD + b"\r\n" + b"z" * 4000), "limit"),
    (HEAD + b"Content-Length: 10000000\r\n\r\n" + b"z" * 9000, "limit"),
    (HEAD + b"Content-Length: " + b"9" * 900 + b"\r\n\r\n", "limit"),
    (http_cases.CHUNKED + b"7fffffff\r\n", "limit"),
    (http_cases.CHUNKED + b"1\r\nz\r\n" * 9000, "limit"),
    (b"HTTP/1.1 307 Away\r\nContent-Length: 0\r\n\r\n", "redirect"),
    (b"HTTP/1.1 307 Away\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n", "redirect"),
    (b"HTTP/1.1 308 Away\r\nLocation: ftp://a/\r\nContent-Length: 0\r\n\r\n", "redirect"),
    (b"HTTP/1.1 308 Away\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", "redirects"),
]


def test_hostile_answers(which, peer):
    """62 answers or more, on a heap as small as a board's. Other clients were measured with 62."""

    def handle(connection):
        while head := peers.read_request(connection):
            path = head.split()[1].decode()
            if path == "/ok":
                connection.sendall(OK)
                continue
            answer = HOSTILE[-1 if path == "/loop" else int(path[1:])][0]
            if callable(answer):
                answer(connection)
                return
            connection.sendall(answer)
            if path != "/loop" and answer is not HOSTILE[-1][0]:
                return

    with peer(handle) as port:
        urls = []
        for i in range(len(HOSTILE)):
            urls += [f"https://localhost:{port}/{i}", f"https://localhost:{port}/ok"]
        lines = run_program(which, "request.py", peer.identity, TIMEOUT_MS, *urls).lines
    assert len(lines) == 2 * len(HOSTILE) >= 2 * 62
    for i, (answer, codes) in enumerate(HOSTILE):
        shown = lines[2 * i]
        assert shown.startswith("error"), (i, answer, shown)
        kind, error, code, ms = shown.split()
        assert (kind, bool(re.fullmatch(codes, code))) == ("error", True), (i, answer, shown)
        assert error in ("ProtocolError", "LinkError"), (i, answer, shown)
        assert int(ms) <= TIMEOUT_MS + 300, (i, answer, shown)
        assert lines[2 * i + 1] == "response 200 b'ok'", (i, answer, lines[2 * i + 1])
