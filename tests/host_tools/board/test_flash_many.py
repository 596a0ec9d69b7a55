"""Several boards at once, and Ctrl-C: the record and the last lines say what was written."""

import _thread
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tty

import pytest

from helpers.mock_boot_loader import NVS_AT, NVS_SIZE, nvs_of
from microdps_tools import CHECKOUT
from microdps_tools.board.boot_loader import BootLoader

MODULE = (sys.executable, "-m", "microdps_tools")


def test_two_runs_at_the_same_time(devices, mock, tmp_path):
    """Two processes, a board each, with one record: no identity is on two boards."""
    boards = [mock(), mock()]
    record = tmp_path / "flashed.jsonl"
    options = ["--devices", devices, "--board", "ESP32_GENERIC", "--record", record, "--again"]
    runs = [
        subprocess.Popen(
            [*MODULE, "flash", board.port, *map(str, options)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for board in boards
    ]
    shown = [run.communicate(timeout=120)[0].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], shown
    entries = [json.loads(line) for line in record.read_text().splitlines()]
    names = {entry["registration_id"] for entry in entries}
    assert len(names) == len(entries) == 2
    flashed = {board.read(NVS_AT, NVS_SIZE) for board in boards}
    assert flashed == {nvs_of(devices / name) for name in names}
    assert not list(tmp_path.glob(".*.run"))


def test_ctrl_c_while_no_board_answers(devices, tmp_path):
    here, there = os.openpty()
    tty.setraw(there)
    record = tmp_path / "flashed.jsonl"
    options = ["--device", devices / "flash-0", "--board", "ESP32_GENERIC", "--record", record]
    with subprocess.Popen(
        [*MODULE, "flash", os.ttyname(there), *map(str, options)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as run:
        try:
            assert select.select([here], [], [], 30)[0], "esptool does not ask the board"
            begin = time.monotonic()
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=30)
            took = time.monotonic() - begin
        finally:
            run.kill()
            os.close(here)
            os.close(there)
    assert run.returncode == 130
    assert took < 2  # a second, and the end of the interpreter on a busy machine
    assert "stopped, nothing was written" in out
    assert err == "microdps: stopped\n"
    (entry,) = [json.loads(line) for line in record.read_text().splitlines()]
    assert entry["result"] == "stopped by Ctrl-C: nothing was written"
    assert not entry["uncertain"]


# The thread is still busy when the test ends, as esptool would be; it ends with the process.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("call", "done", "uncertain"),
    [(1, "the board is half written", False), (2, "its identity may be written or not", True)],
)
def test_ctrl_c_while_a_write_hangs(devices, mock, run, monkeypatch, call, done, uncertain):
    calls, released = [], threading.Event()
    write = BootLoader.write

    def hang(loader, parts):
        calls.append(parts)
        if len(calls) < call:
            write(loader, parts)
            return
        _thread.interrupt_main()
        released.wait(30)

    monkeypatch.setattr(BootLoader, "write", hang)
    board = mock()
    begin = time.monotonic()
    shown = run(board.port, "--device", devices / "flash-0")
    assert time.monotonic() - begin < 30
    released.set()
    assert shown.code == 130
    assert f"{board.port}: stopped, {done}" in shown.out
    assert "stopped: 0 of 1 boards are flashed" in shown.out
    (entry,) = run.record()
    assert entry["result"] == f"stopped by Ctrl-C: {done}"
    assert entry["uncertain"] is uncertain


# pyserial does not close the socket of a socket:// port whose peer has closed its end first.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_in_the_middle_of_a_write_tells_the_truth(devices, mock, run, monkeypatch):
    write = BootLoader.write

    def interrupted(loader, parts):
        _thread.interrupt_main()
        time.sleep(0.1)  # until the main thread has seen it
        write(loader, parts)

    monkeypatch.setattr(BootLoader, "write", interrupted)
    board = mock()
    shown = run(board.port, "--device", devices / "flash-0")
    assert shown.code == 130
    (entry,) = run.record()
    assert entry["result"].startswith("stopped by Ctrl-C")
    assert not entry["uncertain"]
    assert board.read(NVS_AT, NVS_SIZE) != nvs_of(devices / "flash-0")
    monkeypatch.undo()
    assert run(board.port, "--device", devices / "flash-0").code == 0
    assert board.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-0")


def test_more_boards_than_devices(devices, mock, run):
    for name in ("flash-1", "flash-2"):
        (devices / name / "config.json").unlink()
    board = mock()
    shown = run(board.port, "socket://127.0.0.1:1", "--devices", devices)
    assert shown.code == 0
    assert "flash-0 is on" in shown.out
    assert shown.err == "socket://127.0.0.1:1: no device is left for it\n"
