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
        peer = Peer([redirect(b"https://Peer:8443/there?a=b#c", status)], [OK])
        assert get(Connection(), peer, "PUT", body=b"{}") == (200, b"ok")
        assert peer.opened == ["peer", "Peer:8443"]
        assert peer.sent[1] == (
            b"PUT /there?a=b HTTP/1.1\r\nHost: Peer:8443\r\nContent-Length: 2\r\n\r\n{}"
        )


def test_redirect_on_the_same_host_keeps_the_connection():
    peer = Peer([redirect(b"/there"), OK])
    assert get(Connection(), peer) == (200, b"ok")
    assert len(peer.opened) == 1
    assert peer.sent[1] == b"GET /there HTTP/1.1\r\nHost: peer\r\n\r\n"
    peer = Peer([redirect(b"//peer:1/x")], [OK])
    get(Connection(), peer)
    assert peer.opened[1] == "peer:1"


def test_redirect_stays_with_the_owner_of_the_host():
    for tld in ("net", "cn", "us"):
        host, other = "a.azure-devices.%s" % tld, "b.c.AZURE-devices.%s" % tld
        peer = Peer([redirect(b"https://" + other.encode())], [OK])
        assert get(Connection(), peer, host=host) == (200, b"ok")
        assert peer.opened == [host, other]
    for host, other in (
        ("a.azure-devices.net", "b.azure-devices.cn"),
        ("a.azure-devices.net", "b.azure-devices.net.evil.example"),
        ("a.azure-devices.net", "azure-devices.net.example"),
        ("a.azure-devices.net", "xazure-devices.net"),
        ("a.azure-devices.net", "evil.net"),
        ("global.azure-devices-provisioning.net", "a.azure-devices.net"),
        ("peer", "other"),
        ("a.peer.example", "b.peer.example"),
        ("127.0.0.1", "127.0.0.2"),
    ):
        peer = Peer([redirect(b"https://" + other.encode() + b"/x")])
        assert raised(get, Connection(), peer, "GET", host).args == ("redirect", host)


def test_location_that_fits_no_request_is_an_error_of_the_peer():
    for length in (3700, 3950, 3980):
        peer = Peer([redirect(b"/" + b"a" * length)], [OK])
        peer.connections[0] += [OK]
        error = raised(
            peer.run, Connection().request("GET", "peer", "/", b"F: x\r\n" * 60, None, 9)
        )
        assert error.args == ("redirect", "peer"), length


def test_longest_location_leaves_128_bytes_for_the_rest_of_the_head():
    fields = b"F: x\r\n"
    for size, right in ((1024 - len(fields) - 128, True), (1024 - len(fields) - 127, False)):
        url = b"https://peer/" + b"a" * (size - 13)
        peer = Peer([redirect(url), OK])
        flow = Connection(1024).request("GET", "peer", "/", fields, None, 1000)
        if right:
            peer.run(flow)
            assert peer.sent[1].startswith(b"GET " + url[12:] + b" HTTP/1.1\r\n")
        else:
            assert raised(peer.run, flow).args == ("redirect", "peer")


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


def test_secrets_go_to_no_other_host_or_port():
    from microdps.client import Response

    secret = b"Authorization: a\r\nX: y\r\ncookie: b\r\nProxy-Authorization: c\r\n"
    for target, kept in ((b"/x", secret), (b"https://peer:8443/x", b"X: y\r\n")):
        peer = Peer([redirect(target), OK], [OK])
        peer.run(Response().request("GET", "peer", "/", secret, None, 1000))
        assert peer.sent[1].split(b"\r\n", 2)[2] == kept + b"\r\n"
