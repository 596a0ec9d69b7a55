"""Shared by the tests of boards: a virtual board for each test."""

import pytest

from helpers.virtual_boards import VirtualBoard
from microdps_tools.board import raw_repl


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch):
    """A virtual board starts faster than a real one, so attempts to interrupt it are short."""
    monkeypatch.setattr(raw_repl, "ATTEMPT_S", 0.5)


@pytest.fixture
def board(tmp_path):
    with VirtualBoard(tmp_path / "flash") as running:
        yield running
