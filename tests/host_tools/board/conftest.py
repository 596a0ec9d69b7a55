"""Shared by the tests of boards: a virtual board for each test."""

import json

import pytest

from helpers.mock_boot_loader import Mock
from helpers.virtual_boards import VirtualBoard, configure
from microdps_tools.board import raw_repl


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch):
    """A virtual board starts faster than a real one, so attempts to interrupt it are short."""
    monkeypatch.setattr(raw_repl, "ATTEMPT_S", 0.5)


@pytest.fixture
def board(tmp_path):
    with VirtualBoard(tmp_path / "flash") as running:
        yield running


@pytest.fixture
def mock(tmp_path):
    """A function that makes mock boards."""
    made = []

    def make(chip="esp32"):
        made.append(Mock(tmp_path / f"mock-{len(made)}", chip))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def devices(simulator, tmp_path):
    """A folder with three devices' folders."""
    for number in range(3):
        name = f"flash-{number}"
        configure(tmp_path / "devices" / name, simulator, name, interval_s=0.5)
    return tmp_path / "devices"


@pytest.fixture
def run(command, tmp_path):
    """Run `microdps flash` with the test's own record → Done."""

    def call(*arguments, board="ESP32_GENERIC"):
        record = tmp_path / "flashed.jsonl"
        return command("flash", *arguments, "--board", board, "--record", record)

    call.record = lambda: [
        json.loads(line) for line in (tmp_path / "flashed.jsonl").read_text().splitlines()
    ]
    return call
