"""The board's raw REPL: ports, interrupts, other firmwares, errors on the board."""

import os

import pytest

from helpers.small_programs import put, refusal, small
from microdps_tools.board import raw_repl
from microdps_tools.board.raw_repl import SerialTransport


def test_missing_port(command):
    message = command("deploy", "/dev/no-such-port").refusal
    assert "there is no such port; plug the board in, 'microdps flash' lists" in message
    message = command("deploy", "socket://127.0.0.1:1").refusal
    assert "cannot open socket://127.0.0.1:1: start the board" in message


def test_port_in_use(command, board):
    other = SerialTransport(board.port)
    try:
        assert "end the other program" in command("deploy", board.port).refusal
    finally:
        other.close()


def test_port_without_a_board(command, monkeypatch):
    monkeypatch.setattr(raw_repl, "ATTEMPT_S", 0.1)
    master, slave = os.openpty()
    try:
        message = command("deploy", os.ttyname(slave)).refusal
    finally:
        os.close(slave)
        os.close(master)
    assert "does not react: check that it is a board with MicroPython" in message


def test_program_that_does_not_react(board, tmp_path, monkeypatch):
    monkeypatch.setattr(raw_repl, "ATTEMPT_S", 0.2)
    (tmp_path / "main.py").write_text(
        "print('deaf')\n"
        "while True:\n"
        "    try:\n"
        "        while True: pass\n"
        "    except KeyboardInterrupt: pass\n"
    )
    board.copy(tmp_path, "main.py")
    board.until("deaf", reset=True)
    assert "does not react" in refusal(board, small(1))


def test_running_program_is_interrupted_and_started_again(board, tmp_path):
    (tmp_path / "main.py").write_text("print('busy')\nwhile True: pass\n")
    board.copy(tmp_path, "main.py")
    board.until("busy", reset=True)
    put(board, small(1))
    assert "version 1 runs" in board.until("version 1 runs", reset=True)


def test_read_only_file_system(board, tmp_path):
    (tmp_path / "boot.py").write_text(
        "import os, vfs\n"
        "fs = vfs.mount()[0][0]\n"
        "vfs.umount('/')\n"
        "vfs.mount(fs, '/', readonly=True)\n"
        "os.chdir('/')\n"
    )
    board.copy(tmp_path, "boot.py")
    board.mpremote("reset")
    message = refusal(board, small(1))
    assert "is read-only: the old program stays in use; check how boot.py mounts it" in message


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("('circuitpython', (9, 2, 0, ''))", "runs circuitpython 9.2.0: flash MicroPython 1.24"),
        (
            "('micropython', (1, 23, 0))",
            "runs micropython 1.23.0: flash MicroPython 1.24 or newer",
        ),
    ],
)
def test_unsupported_firmware(board, monkeypatch, reported, expected):
    monkeypatch.setattr(
        raw_repl, "ON_BOARD", raw_repl.ON_BOARD.replace("sys.implementation", reported)
    )
    assert expected in refusal(board, small(1))
    broken = raw_repl.ON_BOARD.replace("import binascii", "import no_such_module")
    monkeypatch.setattr(raw_repl, "ON_BOARD", broken)
    assert expected in refusal(board, small(1))
