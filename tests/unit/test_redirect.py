"""Redirects: where the client goes on, and where it does not."""

from harness import Peer, raised
from http_cases import OK, get
from microdps.protocol.http import Connection


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
