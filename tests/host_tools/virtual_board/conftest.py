"""Shared by the tests of the virtual board: a board for a module, and one for a test."""

import pytest

from helpers.virtual_boards import VirtualBoard


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with VirtualBoard(tmp_path_factory.mktemp("board") / "flash") as running:
        yield running


@pytest.fixture
def own(tmp_path):
    """A board for one test."""
    with VirtualBoard(tmp_path / "flash") as running:
        yield running
