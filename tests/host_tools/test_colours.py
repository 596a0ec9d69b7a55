"""Colours are on a terminal, and nowhere else."""

import io

import pytest

from microdps_tools.colours import coloured


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_gets_colours():
    shown = coloured("a [red] b", "red", Terminal())
    assert shown == "\x1b[31ma [red] b\x1b[0m"


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_user_does_not_want_colours(monkeypatch, variable):
    monkeypatch.setenv(*variable)
    assert coloured("text", "red", Terminal()) == "text"


def test_a_file_gets_none():
    assert coloured("text", "red", io.StringIO()) == "text"
