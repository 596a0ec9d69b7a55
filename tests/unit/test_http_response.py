"""Responses: what is right, what is not, and where the limits lie."""

from harness import CLOSED, Peer, Random, raised
from http_cases import CHUNKED, RIGHT, UNFRAMED, WRONG, WRONG_CHUNKS, get
from microdps.errors import Error, LinkError, ProtocolError
from microdps.protocol.http import Connection


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


def test_retry_after_is_a_number_of_at_most_six_digits():
    for value, seconds in ((b"999999", 999999), (b"1000000", 0), (b"soon", 0), (b"-1", 0)):
        connection = Connection()
        get(connection, Peer([b"HTTP/1.1 204 X\r\nRetry-After: " + value + b"\r\n\r\n"]))
        assert connection.retry_s == seconds


def test_fields_of_a_trailer_change_nothing():
    trailer = b"0\r\nRetry-After: 9\r\nConnection: close\r\nContent-Length: 7\r\n\r\n"
    connection = Connection()
    get(connection, Peer([CHUNKED + trailer]))
    assert connection.retry_s == 0 and connection.keep
