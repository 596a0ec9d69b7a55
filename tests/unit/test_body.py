"""What becomes of a message's data, and what is refused before anything is sent."""

import sys
from collections import namedtuple

from harness import Peer, Skip, raised
from microdps.protocol.body import encode
from microdps.session import Session

Point = namedtuple("Point", ("x", "y"))


class Thing:
    pass


def itself():
    value = {}
    value["inner"] = [value]
    return value


async def coroutine():
    return {}


def deep(levels):
    return [deep(levels - 1)] if levels else []


def levels(n, kind, value):
    """A value in n levels of a kind; the outermost one is a list."""
    while n > 1:
        value = {"k": value} if kind is dict else kind((value,))
        n -= 1
    return [value]


GOOD = (
    ({"t": 21.5}, b'{"t": 21.5}'),
    ({"n": -1}, b'{"n": -1}'),
    ({"on": True}, b'{"on": true}'),
    ([True, False, None], b"[true, false, null]"),
    ({"s": "a\n"}, b'{"s": "a\\n"}'),
    ([], b"[]"),
    ([1, (2, 3), {"a": []}], b'[1, [2, 3], {"a": []}]'),
    ({"big": 2**70}, b'{"big": 1180591620717411303424}'),
    ("text \u00e4", b"text \xc3\xa4"),
    (b"\0\xff", b"\0\xff"),
    (bytearray(b"ab"), b"ab"),
    (b"", b""),
)

# Data, and what the error names.
BAD = (
    ({"t": float("nan")}, ValueError, "t"),
    ({"a": {"i": float("inf")}}, ValueError, "i"),
    ({"a": [1, -float("inf")]}, ValueError, "a"),
    ([float("nan")], ValueError, "data"),
    ({"s": {1, 2}}, TypeError, "s"),
    ({"o": Thing()}, TypeError, "o"),
    ({"o": Thing}, TypeError, "o"),
    ({"b": b"bytes"}, TypeError, "b"),
    ({"c": 1j}, TypeError, "c"),
    ({"f": len}, TypeError, "f"),
    ({"p": Point(1, 2)}, TypeError, "p"),
    ({"g": (n for n in ())}, TypeError, "g"),
    ({1: 2}, TypeError, "1"),
    ({"k": {None: 1}}, TypeError, "None"),
    ({"k": {b"x": 1}}, TypeError, "b'x'"),
    (itself(), ValueError, "inner"),
    (deep(40), ValueError, "nested"),
    (5, TypeError, "int"),
    (21.5, TypeError, "float"),
    (None, TypeError, "NoneType"),
    ((1, 2), TypeError, "tuple"),
    ({1, 2}, TypeError, "set"),
    (Thing(), TypeError, "Thing"),
)


def test_data_that_can_be_sent():
    for data, body in GOOD:
        assert bytes(encode(data)) == body, data
    assert len(encode(deep(31))) == 64


def test_nesting_has_32_levels_at_most():
    """What is on the last level may be any value that JSON holds, and is named if it is not."""
    for kind in (list, tuple, dict):
        for value in (5, "x", None, True, 1.5):
            assert encode(levels(32, kind, value)), kind
        for inner in ([], (), {}):
            assert encode(levels(31, kind, inner)), kind
            error = raised(encode, levels(32, kind, inner))
            assert isinstance(error, ValueError) and "nested too deep" in str(error), kind
        error = raised(encode, levels(32, kind, float("nan")))
        assert isinstance(error, ValueError) and "no number" in str(error)
        assert isinstance(raised(encode, levels(32, kind, Thing())), TypeError)


def test_data_that_cannot_be_sent_is_named():
    for data, kind, name in BAD:
        error = raised(encode, data)
        assert type(error) is kind and name in str(error), (data, error)


def test_message_that_is_larger_than_a_hub_takes():
    if sys.implementation.name == "micropython":
        raise Skip("a message of 256 KB breaks up the heap of the tests that follow")
    data = memoryview(bytearray(262_145))
    assert "262145 bytes" in str(raised(encode, data))
    assert len(encode(data[1:])) == 262_144


def test_coroutine_is_to_be_awaited():
    made = coroutine()
    error = raised(encode, made)
    made.close()
    assert isinstance(error, TypeError) and "await it first" in str(error)


def test_nothing_is_sent_for_bad_data_or_properties():
    peer = Peer()
    session = Session(("dps.example", "0ne1", "d"), 30_000)

    def send(*message):
        peer.run(session.send(*message))

    for data, kind, _ in BAD:
        assert type(raised(send, data)) is kind
    for properties in ({"n": 1}, {"n": None}, {1: "x"}, {"n": b"x"}, {"n": ["x"]}):
        error = raised(send, {}, properties)
        assert isinstance(error, TypeError) and str(list(properties)[0]) in str(error)
    error = raised(send, {}, None, {"message_id": 7})
    assert isinstance(error, TypeError) and "message_id" in str(error)
    for properties in ({"n": "\u00e4"}, {"n": "a\r\nb"}, {"n m": "x"}, {"": "x"}):
        assert isinstance(raised(send, {}, properties), ValueError)
    assert peer.opened == [] and peer.sent == []
