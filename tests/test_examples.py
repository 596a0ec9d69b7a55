"""The complete programs of firmware/examples run as main.py, on MicroPython, unchanged."""

import json

import pytest

from helpers.board_folders import board_for
from microdps_tools import FIRMWARE

EXAMPLES = FIRMWARE / "examples"


@pytest.fixture
def start(simulator, tmp_path, request):
    """Make an example the main.py of a device's folder → the folder."""
    board = board_for(request, simulator, tmp_path)

    def copy(name: str):
        (board.folder / "main.py").write_text((EXAMPLES / name).read_text())
        return board

    return copy


def lines_until(board, text: str, times: int) -> list[str]:
    """Run the program until a text has come so often, then cut the power → the lines."""
    lines = []
    with board.start() as process:
        for line in process.stdout:
            lines.append(line)
            times -= text in line
            if not times:
                break
        process.kill()
    assert not times, "".join(lines)
    return lines


def bodies(board) -> list[dict]:
    """The messages that the hub has accepted from the board."""
    return [json.loads(body) for _, body in board.simulator.messages(board.name)]


def test_each_example_is_tested_here():
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "http_client.py",
        "sensor.py",
        "two_tasks.py",
    }


def test_sensor(start):
    board = start("sensor.py")
    shown = "".join(lines_until(board, "204 in", 3))
    for text in ("watchdog of 120000 ms", "Wi-Fi: joined", "clock: set", "register: 202"):
        assert text in shown
    assert "error" not in shown
    assert {"voltage": 1.25} == bodies(board)[0] == bodies(board)[-1]
    assert "register" not in "".join(lines_until(board, "204 in", 1))


def test_sensor_goes_on_after_an_error(start, simulator):
    board = start("sensor.py")
    lines_until(board, "204 in", 1)
    with simulator.faults("hub:status=400,times=1"):
        shown = lines_until(board, "204 in", 1)
    assert [line for line in shown if line.startswith("error: ")]


def test_two_tasks(start):
    board = start("two_tasks.py")
    board.configure(interval_s=0.3)
    shown = lines_until(board, "sent ", 3)
    assert bodies(board)[:2] == [{"count": 0}, {"count": 1}]
    first = next(i for i, line in enumerate(shown) if line == "sent 1\n")
    assert any(line.startswith("machine: pin 2 o") for line in shown[first:])


def test_http_client(start, simulator, micropython):
    board = start("http_client.py")
    assert "DPS answers 404" in board.boot()
    identity = board.folder / "identity" / "a"
    simulator.provision(micropython, identity, board.name)
    assert f"registration: assigned {simulator.hub}\n" in board.boot()
