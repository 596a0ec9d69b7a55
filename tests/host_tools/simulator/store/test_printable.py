"""Texts of peers are made printable, in the log as well."""

import pytest

from helpers.hostile import connect, log_lines
from microdps_tools.simulator.store.printable import printable


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain text, ä, 温", "plain text, ä, 温"),
        ("a\nhub PUT /x 200", "a�hub PUT /x 200"),
        ("a\r\t\0\x1b[31m\x7f\x85\u2028", "a����[31m���"),
        ("\u202ereversed\u200b", "�reversed�"),
        ("x" * 11, "x" * 10 + "…"),
        ("", ""),
    ],
)
def test_printable(text, clean):
    assert printable(text, 10 if set(text) == {"x"} else 100) == clean


def test_request_cannot_forge_a_line_or_hide_one(simulator):
    path = b"/\x85forged-1\xc2\xa0" + b"x" * 5000
    with connect(simulator, simulator.dps) as sock:
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 40")
    (line,) = log_lines(simulator, "forged-1")
    assert line.isprintable()
    assert len(line) < 1000
