"""Texts of peers are made printable, in the log as well."""

import pytest

from helpers.by_hand import Rest
from helpers.dps_calls import record
from helpers.hostile import connect, log_lines
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
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
    path = b"/forged-1%0Ahub%20" + b"x" * 5000
    with connect(simulator, simulator.dps) as sock:
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 404")
    (line,) = log_lines(simulator, "forged-1")
    assert line.isprintable()
    assert len(line) < 1000


def test_error_cannot_forge_a_line(simulator):
    """The value that an error names is the client's."""
    name = "forged-2\nhub PUT /forged-2 200\u202e"
    certificate = encoding.pem(issue("forged", ca=True).cert).decode()
    given = record("enrollments", "forged-2", certificate, iotHubs=[name])
    answer = Rest(simulator)("PUT", "enrollments/forged-2", given)
    assert answer.status_code == 400
    (line,) = log_lines(simulator, "forged-2\N{REPLACEMENT CHARACTER}")
    assert line.isprintable()
    assert "is no linked hub" in line
