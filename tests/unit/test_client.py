"""The HTTP client on its own: what it asks of its connection."""

from harness import Peer, raised
from http_cases import OK
from microdps import client


class Link(Peer):
    """A driver that plays a script.

    identity  what the client has given it
    """

    def __init__(self, identity):
        Peer.__init__(self, [OK, OK, OK, OK])
        self.identity = identity

    def close(self):
        self.drop()


def made(*arguments):
    before = client.Link
    client.Link = Link
    try:
        return client.Client("identity", *arguments)
    finally:
        client.Link = before


def sent(method, body=None, headers=None):
    """The request that is sent to https://peer:8443/x?y, without its first line."""
    one = made()
    one.request(method, "https://peer:8443/x?y", headers, body)
    first, _, rest = one._link.sent[0].partition(b"\r\n")
    assert first == method.encode() + b" /x?y HTTP/1.1"
    host, _, rest = rest.partition(b"\r\n")
    assert host == b"Host: peer:8443"
    return rest


def test_body_has_a_length_and_one_that_is_not_given_only_where_it_is_expected():
    for method in ("POST", "PUT", "PATCH"):
        assert sent(method) == b"Content-Length: 0\r\n\r\n"
        assert sent(method, "\u00e4") == b"Content-Length: 2\r\n\r\n\xc3\xa4"
        assert sent(method, b"x") == b"Content-Length: 1\r\n\r\nx"
    for method in ("GET", "DELETE", "OPTIONS"):
        assert sent(method) == b"\r\n"
        assert sent(method, b"x") == b"Content-Length: 1\r\n\r\nx"
        assert sent(method, "") == b"Content-Length: 0\r\n\r\n"


def test_headers_stand_before_the_length():
    assert sent("PUT", b"{}", {"A": "b"}) == b"A: b\r\nContent-Length: 2\r\n\r\n{}"


def test_response_is_the_last_one():
    one = made()
    response = one.request("GET", "https://peer/")
    assert (response.status, bytes(response.body)) == (200, b"ok")
    assert response.header("content-length") == b"2" and response.header("x") is None
    assert one.request("GET", "https://peer/") is response
    assert one._link.opened == ["peer"] and one._link.identity == "identity"
    one.close()
    assert one._link.host is None


def test_time_and_room_of_a_request():
    for arguments, timeout_ms, size in (((), 30_000, 4096), ((5000, 100), 5000, 100)):
        one = made(*arguments)
        response = one.request("GET", "https://peer/")
        assert one._link.deadline == 1000 + timeout_ms
        assert len(response.buf) == size


def test_bad_arguments_send_nothing():
    for method, url, headers in (
        ("G T", "https://peer/", None),
        ("", "https://peer/", None),
        ("GET", "http://peer/", None),
        ("GET", "https://peer/", {"a b": "c"}),
    ):
        one = made()
        assert isinstance(raised(one.request, method, url, headers), ValueError)
        assert one._link.opened == []
