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


GOOD = (
    ({"t": 21.5, "n": -1, "on": True, "none": None, "s": "\u00e4"}, None),
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
        assert body is None or bytes(encode(data)) == body, data
    assert len(encode(deep(31))) == 64


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
    for data, kind, _ in BAD:
        assert type(raised(peer.run, session.send(data))) is kind
    for properties in ({"n": 1}, {"n": None}, {1: "x"}, {"n": b"x"}, {"n": ["x"]}):
        error = raised(peer.run, session.send({}, properties))
        assert isinstance(error, TypeError) and str(list(properties)[0]) in str(error)
    error = raised(peer.run, session.send({}, None, {"message_id": 7}))
    assert isinstance(error, TypeError) and "message_id" in str(error)
    for properties in ({"n": "\u00e4"}, {"n": "a\r\nb"}, {"n m": "x"}, {"": "x"}):
        assert isinstance(raised(peer.run, session.send({}, properties)), ValueError)
    assert peer.opened == [] and peer.sent == []
