"""Host names, URLs, and what is quoted in them."""

from harness import raised
from microdps.client import _fields
from microdps.protocol.redirect import split_url
from microdps.protocol.url import quote, split_host


def test_hosts():
    assert split_host("hub.azure-devices.net") == ("hub.azure-devices.net", 443)
    assert split_host("localhost:8443") == ("localhost", 8443)
    assert split_host("a:1") == ("a", 1) and split_host("a:65535") == ("a", 65535)
    assert split_host("a" * 253 + ":1")[0] == "a" * 253
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
        "a" * 254,
        "\u00e4",
    ):
        assert isinstance(raised(split_host, host), ValueError), host


def test_urls():
    assert split_url("https://peer") == ("peer", "/")
    assert split_url("HTTPS://peer:1/a?b=c#d") == ("peer:1", "/a?b=c")
    assert split_url("https://peer?b/c") == ("peer", "/?b/c")
    assert split_url("https://peer/!~") == ("peer", "/!~")
    for url in ("http://peer/", "peer", "", "https:///x", "https://a b/", "https://u@peer/"):
        assert isinstance(raised(split_url, url), ValueError), url


def test_ids_are_quoted():
    assert quote("Device-01.a_b~") == "Device-01.a_b~"
    assert quote("a:b/c?d%e f") == "a%3Ab%2Fc%3Fd%25e%20f"
    assert quote("\u00e4") == "%C3%A4"


def test_only_unreserved_characters_stand_for_themselves():
    """RFC 3986, 2.3."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    unreserved = letters + letters.upper() + "0123456789-._~"
    for code in range(128):
        char = chr(code)
        assert quote(char) == (char if char in unreserved else "%%%02X" % code), code


def test_header_lines_of_a_client():
    assert _fields(None) == _fields({}) == b""
    assert _fields({"A": "b"}) == b"A: b\r\n"
    for headers in ({"": "x"}, {"a b": "x"}, {"a:": "x"}, {"a": "x\ry"}, {"a": "x\ny"}):
        assert isinstance(raised(_fields, headers), ValueError), headers
