"""The serial ports: which of them may have a board, and why one does not open."""

import types

import pytest
from serial.tools import list_ports

from microdps_tools.board import ports


@pytest.fixture
def plugged(monkeypatch):
    """Pretend that ports are plugged in."""

    def plug(*names: str) -> None:
        found = [
            types.SimpleNamespace(device=name, description="CP2102", vid=0x10C4, pid=0xEA60)
            for name in names
        ]
        found.append(
            types.SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None, pid=None)
        )
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        monkeypatch.setattr(ports, "sorted", lambda given: given, raising=False)

    return plug


def test_boards_are_listed(command, plugged):
    plugged("/dev/ttyUSB0", "COM3")
    done = command("flash")
    assert (done.code, done.err) == (0, "")
    assert done.out == "/dev/ttyUSB0  CP2102 (10c4:ea60)\nCOM3  CP2102 (10c4:ea60)\n"


def test_no_board_is_plugged_in(command, plugged):
    plugged()
    assert "plug it in with a data cable" in command("flash").refusal
    assert "plug it in" in command("flash", "--all", "--board", "X", "--devices", "d").refusal


def test_all_takes_the_ports_that_it_sees(command, plugged, mock, devices):
    boards = [mock(), mock()]
    plugged(*(board.port for board in boards))
    given = ("--board", "ESP32_GENERIC", "--devices", devices, "--record", devices / "r.jsonl")
    done = command("flash", "--all", *given)
    assert done.code == 0, done.err
    assert done.out.count(" is on ") == 2


def test_port_that_does_not_open():
    advice = ports.port_advice("/dev/nope")
    assert "there is no such port" in advice and "the group dialout" in advice
    assert ports.port_advice("/dev/null") == ""
    assert ports.port_advice("COM3") == ""
    assert ports.port_advice("socket://127.0.0.1:1") == ""


def test_port_of_a_group(monkeypatch, tmp_path):
    (tmp_path / "tty").touch()
    monkeypatch.setattr(ports.os, "access", lambda *_: False)
    advice = ports.port_advice(str(tmp_path / "tty"))
    assert "usermod -aG dialout $USER" in advice
