"""Text of other programs is read whatever its encoding is."""

import pytest

from microdps_tools.text_files import decode, json_query, unquoted


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_encoding_of_windows(encoding):
    assert decode("registration_id;ort\r\n".encode(encoding)) == "registration_id;ort\r\n"


def test_other_bytes_are_latin_1():
    assert decode(b"stra\xdfe") == "stra\xdfe"
    assert decode(b"\xff\xfe\x00\xd8") == "\xff\xfe\0\xd8"  # a mark, and no UTF-16
    assert decode(b"") == ""


def test_quotes_and_blanks_are_taken_off():
    assert unquoted(" 'a b' \r\n") == "a b"
    assert unquoted("\u201cx\u201d") == "x"


def test_query_of_the_first_wanted_string():
    text = '{"a": [1, {"b": "no"}], "c": {"d": "yes"}}'
    assert json_query(text, lambda value: value == "yes") == "c.d"
    assert json_query(text, lambda value: value == "no") == "a[1].b"
    assert json_query("[]", bool) == ""
    assert json_query("{", bool) is None
    assert json_query("no JSON", bool) is None
