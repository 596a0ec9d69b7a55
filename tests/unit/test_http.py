"""Requests, and the connection that carries them."""

from harness import CLOSED, Idle, Peer, raised
from http_cases import OK, RIGHT, WRONG, get
from microdps.errors import Error, LinkError
from microdps.protocol.answer import header
from microdps.protocol.http import Connection


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


def test_request_that_just_fits_the_buffer_is_one_write():
    head = b"PUT / HTTP/1.1\r\nHost: peer\r\nContent-Length: 9\r\n\r\n"
    for size, writes in ((len(head) + 9, 1), (len(head) + 8, 2)):
        peer = Peer([b"HTTP/1.1 204 X\r\n\r\n"])
        get(Connection(size), peer, "PUT", body=b"123456789")
        assert len(peer.sent) == writes and b"".join(peer.sent) == head + b"123456789"
    assert len(Connection().buf) == 4096


def test_head_must_fit_the_buffer():
    head = b"GET / HTTP/1.1\r\nHost: peer\r\n\r\n"
    peer = Peer([b"HTTP/1.1 204 X\r\n\r\n"])
    get(Connection(len(head)), peer)
    assert peer.sent == [head]
    peer = Peer()
    assert isinstance(raised(get, Connection(len(head) - 1), peer), ValueError)
    assert peer.opened == []


def test_connection_that_has_answered_nothing_is_not_to_be_kept():
    connection = Connection()
    assert (connection.status, connection.keep, connection.retry_s) == (0, False, 0)
