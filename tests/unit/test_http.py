"""One request and its response: what is right, what is not, and where the limits lie."""

from harness import CLOSED, Idle, Peer, Random, raised
from microdps.errors import Error, LinkError, ProtocolError
from microdps.protocol.answer import header
from microdps.protocol.http import Connection
from microdps.protocol.redirect import split_url
from microdps.protocol.url import quote, split_host

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


def test_request_is_one_write_and_what_the_how_to_sends():
    peer = Peer([b"HTTP/1.1 204 No Content\r\n\r\n"])
    fields = b"Content-Type: application/json\r\nContent-Encoding: utf-8\r\n"
    path = "/devices/my-x509-device/messages/events?api-version=2020-03-13"
    host = "MyExampleHub.azure-devices.net"
    peer.run(Connection().request("POST", host, path, fields, b'{"temperature": 30}', 5000))
    assert peer.opened == [host]
    assert peer.sent == [
        b"POST /devices/my-x509-device/messages/events?api-version=2020-03-13 HTTP/1.1\r\n"
        b"Host: MyExampleHub.azure-devices.net\r\n"
        b"Content-Type: application/json\r\n"
        b"Content-Encoding: utf-8\r\n"
        b"Content-Length: 19\r\n"
        b"\r\n"
        b'{"temperature": 30}'
    ]


def test_request_without_a_body_has_no_length():
    peer = Peer([OK])
    get(Connection(), peer, host="peer:8443")
    assert peer.opened == ["peer:8443"]
    assert peer.sent == [b"GET / HTTP/1.1\r\nHost: peer:8443\r\n\r\n"]


def test_body_that_does_not_fit_the_buffer_is_a_second_write():
    peer = Peer([OK])
    body = b"x" * 5000
    get(Connection(4096), peer, "POST", body=body)
    assert len(peer.sent) == 2
    assert peer.sent[1] == body
    assert b"Content-Length: 5000\r\n\r\n" in peer.sent[0]


def test_empty_body_has_a_length():
    peer = Peer([OK])
    get(Connection(), peer, "PUT", body=b"")
    assert peer.sent == [b"PUT / HTTP/1.1\r\nHost: peer\r\nContent-Length: 0\r\n\r\n"]


def test_right_responses():
    for method, response, status, body, keep in RIGHT:
        peer = Peer([response])
        assert get(Connection(), peer, method) == (status, body), response
        assert peer.closed == (not keep), response
        assert peer.left() == 0, response


def test_right_responses_split_anywhere():
    connection = Connection()
    for method, response, status, body, _ in RIGHT:
        for at in range(1, len(response)):
            peer = Peer([response[:at], response[at:]])
            assert get(connection, peer, method) == (status, body), (response, at)


def test_right_responses_a_byte_at_a_time():
    for method, response, status, body, _ in RIGHT:
        peer = Peer([response], piece=1)
        assert get(Connection(), peer, method) == (status, body), response


def test_truncated_anywhere_is_an_error_and_never_a_short_body():
    connection = Connection()
    for method, response, _, _, _ in RIGHT:
        for at in range(len(response)):
            peer = Peer([response[:at], CLOSED] if at else [CLOSED])
            error = raised(get, connection, peer, method)
            if at == 0:
                assert isinstance(error, LinkError) and error.args == ("closed", "peer")
            else:
                assert isinstance(error, ProtocolError), (response, at)
                assert error.args == ("truncated", "peer"), (response, at)


def test_unframed_body_ends_with_the_connection():
    for head, body in UNFRAMED:
        for piece in (1, 3, 1000):
            peer = Peer([head + body, CLOSED], piece=piece)
            assert get(Connection(), peer) == (200, body)
            assert peer.host is None


def test_unframed_body_that_ends_with_a_broken_connection_is_truncated():
    for head, body in UNFRAMED:
        peer = Peer([head + body, LinkError("closed", "peer")])  # a reset
        assert raised(get, Connection(), peer).args == ("truncated", "peer")


def test_unframed_body_over_the_limit():
    peer = Peer([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000, CLOSED])
    assert raised(get, Connection(4096), peer).args == ("limit", "peer")


def test_wrong_responses():
    for response, code in WRONG:
        peer = Peer([response, CLOSED])
        error = raised(get, Connection(), peer)
        assert isinstance(error, ProtocolError), (response, error)
        whole = b"\n" in response  # half a line is not judged as one
        assert error.args == (code if whole else "truncated", "peer"), (response, error.args)
        assert peer.host is None, response  # closed


def test_wrong_responses_a_byte_at_a_time():
    for response, _ in WRONG:
        peer = Peer([response, CLOSED], piece=1)
        assert isinstance(raised(get, Connection(), peer), ProtocolError), response


def test_wrong_chunks():
    for chunks, code in WRONG_CHUNKS:
        for piece in (1, 4096):
            peer = Peer([CHUNKED + chunks, 6000, CLOSED], piece=piece)
            error = raised(get, Connection(4096), peer)
            assert error.args == (code, "peer"), (chunks, error.args)
            assert peer.now == 1000, chunks  # told at once, not at the deadline


def test_chunked_body_may_fill_the_buffer_with_its_framing():
    body = b"y" * 400
    response = CHUNKED + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    for piece in (1, 7, 4096):
        peer = Peer([response], piece=piece)
        assert get(Connection(len(response)), peer) == (200, body)
        peer = Peer([response], piece=piece)
        assert raised(get, Connection(len(response) - 1), peer).args == ("limit", "peer")


def test_limit_is_told_before_more_is_read():
    head = b"HTTP/1.1 200 OK\r\n"
    for response in (
        b"HTTP/1.1 200 " + b"x" * 4096,
        head + b"X: " + b"y" * 4096,
        head + b"X: y\r\n" * 700,
        head + b"Content-Length: 5000\r\n\r\n",
        head + b"Content-Length: 10000000\r\n\r\n",
        head + b"Content-Length: 99999999999999999999\r\n\r\n",
        CHUNKED + b"989680\r\n",
        CHUNKED + b"800\r\n" + b"x" * 2048 + b"\r\n800\r\n",
    ):
        peer = Peer([response, b"more"])
        error = raised(get, Connection(4096), peer)
        assert error.args == ("limit", "peer"), (response[:40], error.args)
        assert peer.closed == 1


def test_response_may_fill_the_buffer_to_its_last_byte():
    end = b"\r\nContent-Length: 2\r\n\r\nok"
    for head in (b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX: "):
        for size, code in ((4096, None), (4097, "limit")):
            response = head + b"x" * (size - len(head) - len(end)) + end
            if code:
                assert raised(get, Connection(4096), Peer([response])).args == (code, "peer")
            else:
                assert get(Connection(4096), Peer([response])) == (200, b"ok")


def test_connection_is_kept():
    peer = Peer([OK, OK, OK])
    connection = Connection()
    for _ in range(3):
        assert get(connection, peer) == (200, b"ok")
    assert len(peer.opened) == 1 and len(peer.sent) == 3 and peer.closed == 0


USUAL = (
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n"
    b"x-ms-request-id: aa58c075\r\nDate: Wed, 31 Aug 2022 18:34:44 GMT\r\n\r\n"
)
LIKE_USUAL = (
    USUAL,
    USUAL.replace(b"aa58c075", b"00000000").replace(b"44 GMT", b"59 GMT"),
    USUAL.replace(b"aa58c075", b"aa58\rc07"),
    USUAL.replace(b"aa58c075", b"\r\nX: yz"),
    USUAL.replace(b"aa58c075", b"aa58\n 07"),
    USUAL.replace(b"aa58c075", b"aa58\0c07"),
    USUAL.replace(b"aa58c075", b"        "),
    USUAL.replace(b"aa58c075", b"aa58c075aa58c075"),
    USUAL.replace(b"Vary: Origin", b"Vary  Origin"),
    USUAL.replace(b"Vary: Origin", b"Connection: x"),
    USUAL.replace(b"Content-Length: 0", b"Connection: close"),
    USUAL.replace(b"Content-Length: 0", b"Content-Length: x"),
    USUAL.replace(b"Content-Length: 0", b"Retry-After: 0009"),
    USUAL.replace(b"204 No Content", b"200 No Content"),
    USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
    USUAL.replace(b"\r\n", b"\n"),
    USUAL + b"H",
    USUAL[:-1],
    b"",
)


def verdict(connection, response):
    """All that a caller learns of a response."""
    peer = Peer([response, CLOSED] if response else [CLOSED])
    try:
        status, body = get(connection, peer, "POST")
    except Error as error:
        return error.args, type(error)
    return (
        status,
        body,
        connection.retry_s,
        connection.keep,
        peer.closed,
        header(connection, "x-ms-request-id"),
        header(connection, "date"),
    )


def test_fast_path_changes_nothing_but_speed():
    """Each response, after a connection has learned the hub's usual 204, and without."""
    responses = [response for _, response, _, _, _ in RIGHT] + [response for response, _ in WRONG]
    for response in responses + list(LIKE_USUAL):
        learned = Connection()
        get(learned, Peer([USUAL]), "POST")
        assert learned.take_usual(len(USUAL))
        get(learned, Peer([OK]))  # what is remembered of the last response is another's
        assert verdict(learned, response) == verdict(Connection(), response), response


def test_usual_204_needs_no_reader():
    connection = Connection()
    other = USUAL.replace(b"aa58c075", b"00000000")
    assert get(connection, Peer([USUAL]), "POST") == (204, b"")
    get(connection, Peer([OK]))
    learn = connection.take_usual
    seen = []
    connection.take_usual = lambda have: seen.append(learn(have)) or seen[-1]
    assert get(connection, Peer([other]), "POST") == (204, b"")
    assert seen == [True]
    assert header(connection, "x-ms-request-id") == b"00000000"


def test_head_of_a_204_tells_all_whether_the_connection_goes_on_and_where_it_ends():
    accepted = b"HTTP/1.1 204 No Content\r\nVary: x\r\nContent-Length: 7\r\n"
    for line, keep in (
        (b"", True),
        (b"Connection: close\r\n", False),
        (b"connection:x,CLOSE\r\n", False),
        (b"CONNECTION:\r\n close\r\n", False),
        (b"Connection: keep-alive\r\n", True),
        (b"Connections: close\r\n", True),
    ):
        for piece in (1, 2, 1000):
            peer = Peer([accepted + line + b"\r\n", OK], [OK], piece=piece)
            connection = Connection()
            assert get(connection, peer, "POST") == (204, b""), (line, piece)
            assert peer.closed == (not keep), (line, piece)
            assert get(connection, peer) == (200, b"ok")
            assert len(peer.opened) == (1 if keep else 2)
        for at in range(1, len(accepted + line) + 2):
            peer = Peer([(accepted + line + b"\r\n")[:at], CLOSED])
            assert raised(get, Connection(), peer, "POST").args[0] == "truncated"
    for wrong, code in (
        (b"HTTP/1.1 204 No Content\n\n", "line-end"),
        (accepted + b"\n", "line-end"),
        (accepted + b"Connection: close\n\r\n", "line-end"),
        (accepted + b"Connection: \0\r\n\r\n", "header"),
        (accepted + b"X: y\r\n" * 700, "limit"),
    ):
        peer = Peer([wrong, b"more"])
        assert raised(get, Connection(), peer, "POST").args == (code, "peer"), wrong


def test_head_of_any_other_answer_is_judged_by_all():
    for wrong, code in WRONG:
        if b"\n" in wrong:
            peer = Peer([wrong, CLOSED])
            assert raised(get, Connection(), peer).args == (code, "peer"), wrong


def test_connection_closed_while_idle_is_opened_anew():
    peer = Peer([OK, Idle()], [OK])
    connection = Connection()
    get(connection, peer)
    assert get(connection, peer, "POST") == (200, b"ok")
    assert len(peer.opened) == 2 and len(peer.sent) == 2


def test_connection_closed_under_a_request_is_told_or_asked_again_once_if_that_is_safe():
    for method, tries in (("GET", 2), ("HEAD", 2), ("PUT", 1), ("POST", 1)):
        for item in (CLOSED, LinkError("closed", "peer")):
            peer = Peer([OK, item], [CLOSED])
            connection = Connection()
            get(connection, peer)
            error = raised(get, connection, peer, method)
            assert error.args == ("closed", "peer")
            assert error.written == (item == CLOSED or tries == 2), method
            assert len(peer.opened) == tries, method
    peer = Peer([OK, CLOSED], [OK])
    connection = Connection()
    get(connection, peer)
    assert get(connection, peer) == (200, b"ok")
    assert len(peer.sent) == 3


def test_bytes_behind_a_response_are_not_the_next_one():
    peer = Peer([OK + b"HTTP/1.1 500 No\r\n\r\n"], [OK])
    connection = Connection()
    assert get(connection, peer) == (200, b"ok")
    assert peer.closed == 1
    assert get(connection, peer) == (200, b"ok")
    assert len(peer.opened) == 2


def test_other_host_gets_a_connection_of_its_own():
    peer = Peer([OK], [OK])
    connection = Connection()
    get(connection, peer)
    get(connection, peer, host="other:1")
    assert peer.opened == ["peer", "other:1"]


def test_usable_after_each_error():
    connection = Connection()
    for items in ([CLOSED], [b"HTTP/1.1 20\r\n"], [LinkError("timeout-connect", "peer")], [9000]):
        assert isinstance(raised(get, connection, Peer(items)), Error)
        assert get(connection, Peer([OK])) == (200, b"ok")


def test_deadline_holds_against_a_server_that_drips():
    response = []
    for i in range(len(OK)):
        response += [100, OK[i : i + 1]]
    peer = Peer(response)
    error = raised(get, Connection(), peer, "GET", "peer", None, 2000)
    assert error.args[0] == "timeout-answer"
    assert peer.now == 1000 + 2000


def test_header_is_found_in_any_case():
    response = (
        b"HTTP/1.1 200 OK\r\nRETRY-after:  3 \r\nX-Retry-After: 4\r\nEmpty:\r\nLong: a\r\n b\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    connection = Connection()
    get(connection, Peer([response]))
    assert header(connection, "Retry-After") == b"3"
    assert header(connection, "retry-after") == b"3"
    assert header(connection, "EMPTY") == b""
    assert header(connection, "long") == b"a   b"
    assert header(connection, "after") is None
    assert header(connection, "HTTP/1.1 200 OK\r\nRetry-After") is None


def redirect(location, status=b"307"):
    return (
        b"HTTP/1.1 " + status + b" R\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    )


def test_redirect_keeps_method_and_body():
    for status in (b"307", b"308"):
        peer = Peer([redirect(b"https://other:8443/there?a=b#c", status)], [OK])
        assert get(Connection(), peer, "PUT", body=b"{}") == (200, b"ok")
        assert peer.opened == ["peer", "other:8443"]
        assert peer.sent[1] == (
            b"PUT /there?a=b HTTP/1.1\r\nHost: other:8443\r\nContent-Length: 2\r\n\r\n{}"
        )


def test_redirect_on_the_same_host_keeps_the_connection():
    peer = Peer([redirect(b"/there"), OK])
    assert get(Connection(), peer) == (200, b"ok")
    assert len(peer.opened) == 1
    assert peer.sent[1] == b"GET /there HTTP/1.1\r\nHost: peer\r\n\r\n"
    peer = Peer([redirect(b"//other/x")], [OK])
    get(Connection(), peer)
    assert peer.opened[1] == "other"


def test_redirect_elsewhere_than_https_is_refused():
    for location in (
        b"http://peer/",
        b"ftp://peer/",
        b"",
        b"there",
        b"https://",
        b"https://user@peer/",
        b"https://peer:0/",
        b"https://peer/a b",
        b"https://peer/\xff",
        b"https://peer/\x7f",
    ):
        peer = Peer([redirect(location)])
        assert raised(get, Connection(), peer).args == ("redirect", "peer"), location
    peer = Peer([b"HTTP/1.1 307 R\r\nContent-Length: 0\r\n\r\n"])
    assert raised(get, Connection(), peer).args == ("redirect", "peer")


def test_five_redirects_are_followed_and_no_sixth():
    assert get(Connection(), Peer([redirect(b"/x")] * 5 + [OK])) == (200, b"ok")
    peer = Peer([redirect(b"/x")] * 6)
    assert raised(get, Connection(), peer).args == ("redirects", "peer")
    assert peer.left() == 0


def test_other_redirects_are_the_callers():
    for status in (b"301", b"302", b"303"):
        assert get(Connection(), Peer([redirect(b"/x", status)]))[0] == int(status)


def test_what_cannot_stand_in_a_request_is_refused_before_anything_is_sent():
    for host, path in (
        ("peer\r\nX: y", "/"),
        ("", "/"),
        ("peer:x", "/"),
        ("peer", "/" + "x" * 5000),
    ):
        peer = Peer()
        error = raised(peer.run, Connection().request("GET", host, path, b"", None, 1000))
        assert isinstance(error, ValueError), (host, path)
        assert peer.sent == [] and peer.opened == []


def test_random_answers_end_in_a_result_or_an_error_of_ours():
    random = Random(1)
    connection = Connection(1024)
    for _ in range(300):
        method, response, _, _, _ = RIGHT[random.below(len(RIGHT))]
        data = bytearray(response)
        for _ in range(random.below(4)):
            data[random.below(len(data))] = random.below(256)
        if random.below(3) == 0:
            data = random.bytes(random.below(200))
        peer = Peer([bytes(data), CLOSED] if data else [CLOSED], piece=1 + random.below(50))
        peer.connections += [[CLOSED] for _ in range(6)]  # for redirects made by chance
        try:
            get(connection, peer, method)
        except Error:
            pass


def test_hosts():
    assert split_host("hub.azure-devices.net") == ("hub.azure-devices.net", 443)
    assert split_host("localhost:8443") == ("localhost", 8443)
    for host in (
        "",
        ":1",
        "a:0",
        "a:65536",
        "a:1x",
        "a b",
        "a/b",
        "a@b",
        "::1",
        "[::1]:1",
        "a:-1",
    ):
        assert isinstance(raised(split_host, host), ValueError), host


def test_urls():
    assert split_url("https://peer") == ("peer", "/")
    assert split_url("HTTPS://peer:1/a?b=c#d") == ("peer:1", "/a?b=c")
    assert split_url("https://peer?b/c") == ("peer", "/?b/c")
    for url in ("http://peer/", "peer", "", "https:///x", "https://a b/", "https://u@peer/"):
        assert isinstance(raised(split_url, url), ValueError), url


def test_ids_are_quoted():
    assert quote("Device-01.a_b~") == "Device-01.a_b~"
    assert quote("a:b/c?d%e f") == "a%3Ab%2Fc%3Fd%25e%20f"
    assert quote("\u00e4") == "%C3%A4"
