"""Message properties: the names and texts of the hub's documentation, and nothing that splits."""

from harness import raised
from microdps.protocol.properties import encode


def test_documented_headers():
    assert encode({"alert": "true"}) == b"iothub-app-alert: true\r\n"
    assert encode(None, message_id="m-1") == b"iothub-messageid: m-1\r\n"
    assert encode(None, correlation_id="c 2") == b"iothub-correlationid: c 2\r\n"
    assert encode({}, content_type="application/json") == (
        b"iothub-contenttype: application/json\r\n"
    )
    assert encode({}, content_encoding="utf-8") == b"iothub-contentencoding: utf-8\r\n"
    assert encode(None) == b""


def test_what_cannot_be_a_property():
    for properties in (
        {"": "x"},
        {"a b": "x"},
        {"a:": "x"},
        {"a\r\n": "x"},
        {"\u00e4": "x"},
        {"a": "x\r\nEvil: y"},
        {"a": "\u00e4"},
        {"a": "\x00"},
    ):
        assert isinstance(raised(encode, properties), ValueError), properties
    assert isinstance(raised(lambda: encode(None, message_id="x" * 129)), ValueError)
    assert isinstance(raised(lambda: encode(None, priority="1")), ValueError)


def test_values_are_visible_ascii():
    for code in range(130):
        if 32 <= code < 127:
            value = chr(code)
            assert encode({"a": value}) == b"iothub-app-a: " + value.encode() + b"\r\n"
        else:
            assert isinstance(raised(encode, {"a": chr(code)}), ValueError), code


def test_message_id_has_128_characters_at_most():
    assert encode(None, message_id="x" * 128) == b"iothub-messageid: " + b"x" * 128 + b"\r\n"
    assert encode(None, correlation_id="x" * 129)
