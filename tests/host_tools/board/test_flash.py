"""microdps flash: the real esptool, and a mock of the chip's boot loader."""

import fcntl
import os
import re
import subprocess
import sys
import tty

import pytest

from helpers.mock_boot_loader import NVS_AT, NVS_SIZE, nvs_of
from helpers.virtual_boards import VirtualBoard
from microdps_tools.board import image
from microdps_tools.board.boot_loader import BootLoader
from microdps_tools.boards import MEGABYTE as MB

PROGRAM_AT = 0x200000


def test_program_and_identity_are_flashed_read_back_and_booted(
    simulator, devices, mock, run, tmp_path
):
    board, folder = mock(), devices / "flash-0"
    done = run(board.port, "--device", folder)
    assert (done.code, done.err) == (0, "")
    program = image.littlefs_image(image.program_files(), 2 * MB, 4096)
    total = len(program) + NVS_SIZE
    assert re.search(rf"flash-0 is on ([0-9a-f]{{2}}:){{5}}[0-9a-f]{{2}}, {total} bytes", done.out)
    flash_file = tmp_path / "booted" / "board.flash"
    flash_file.parent.mkdir()
    flash_file.write_bytes(board.read(PROGRAM_AT, len(program)).ljust(2 * MB, b"\xff"))
    (flash_file.parent / "nvs.bin").write_bytes(board.read(NVS_AT, NVS_SIZE))
    with VirtualBoard(flash_file) as virtual:
        shown = virtual.until("done: 3 messages sent")
    assert "as flash-0" in shown
    (entry,) = run.record()
    assert (entry["registration_id"], entry["result"]) == ("flash-0", "flashed")
    assert entry["bytes"] == total
    assert re.fullmatch("[0-9a-f]{40}", entry["thumbprint"])
    assert entry["utc"].endswith("Z")


def test_second_device_on_a_board_writes_its_identity_only(devices, mock, run):
    """After the first device, only the NVS image is written."""
    board = mock()
    run(board.port, "--device", devices / "flash-0")
    done = run(board.port, "--device", devices / "flash-1", "--again")
    assert f", {NVS_SIZE} bytes" in done.out
    assert board.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-1")
    assert run.record()[1]["bytes"] == NVS_SIZE


def test_board_that_has_the_program_already_gets_its_identity_only(devices, mock, run):
    board = mock()
    program = image.littlefs_image(image.program_files(), 2 * MB, 4096)
    path = board.folder / "program.bin"
    path.write_bytes(program)
    command = [sys.executable, "-m", "esptool", "--port", board.port, "write-flash"]
    subprocess.run([*command, hex(PROGRAM_AT), path], check=True, stdout=subprocess.DEVNULL)
    assert f", {NVS_SIZE} bytes" in run(board.port, "--device", devices / "flash-0").out


def test_several_ports_at_once_and_the_next_run_continues(devices, mock, run):
    first, second = mock(), mock()
    done = run(first.port, second.port, "--devices", devices)
    assert done.code == 0, done.err
    names = [re.search(r": (flash-\d) is on", line)[1] for line in done.out.splitlines()]
    assert names == ["flash-0", "flash-1"]
    assert first.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-0")
    assert second.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-1")
    done = run(first.port, second.port, "--devices", devices, "--again")
    assert [line.split()[1] for line in done.out.splitlines()] == ["flash-2"]
    done = run(first.port, "--devices", devices)
    assert "all devices have their boards" in done.out


def test_one_port_that_fails_does_not_stop_the_others(devices, mock, run):
    board = mock()
    done = run("socket://127.0.0.1:1", board.port, "--devices", devices)
    assert done.code == 1
    assert "socket://127.0.0.1:1" in done.err
    assert "flash-1 is on" in done.out
    results = {entry["registration_id"]: entry["result"] for entry in run.record()}
    assert results["flash-1"] == "flashed"
    assert results["flash-0"] != "flashed"
    done = run(board.port, "--devices", devices, "--again")
    assert "flash-0 is on" in done.out


def test_board_that_is_another_device_is_refused(devices, mock, run):
    board = mock()
    run(board.port, "--device", devices / "flash-0")
    refusal = run(board.port, "--device", devices / "flash-1").refusal
    assert "is flash-0 already" in refusal
    assert board.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-0")
    assert run(board.port, "--device", devices / "flash-0").code == 0


def test_wrong_chip_is_refused_and_nothing_written(devices, mock, run):
    board = mock("esp32c3")
    refusal = run(board.port, "--device", devices / "flash-0").refusal
    assert "has an ESP32-C3" in refusal
    assert "--board" in refusal
    assert set(board.read(NVS_AT, NVS_SIZE)) == {0xFF}


def test_esp32c3(devices, mock, run):
    board = mock("esp32c3")
    done = run(board.port, "--device", devices / "flash-0", board="ESP32_GENERIC_C3")
    assert done.code == 0, done.err
    assert board.read(NVS_AT, NVS_SIZE) == nvs_of(devices / "flash-0")


def test_flash_that_is_too_small(devices, mock, run):
    """Up to MicroPython 1.25, an ESP32-S3's file system wants 8 MB; the mock has 4."""
    board = mock("esp32s3")
    given = ["--device", devices / "flash-0", "--micropython", "1.25.0"]
    refusal = run(board.port, *given, board="ESP32_GENERIC_S3").refusal
    assert "is too small for MicroPython 1.25.0" in refusal
    assert "1.26 or newer" in refusal
    assert set(board.read(NVS_AT, NVS_SIZE)) == {0xFF}
    assert run(board.port, *given[:2], board="ESP32_GENERIC_S3").code == 0


def test_keys_are_deleted_when_a_board_has_them(devices, mock, run):
    board, key = mock(), devices / "flash-0" / "identity" / "a" / "key.der"
    run("socket://127.0.0.1:1", "--device", devices / "flash-0", "--delete-keys")
    assert key.exists()
    assert run(board.port, "--device", devices / "flash-0", "--delete-keys").code == 0
    assert not key.exists()


# pyserial does not close a socket whose other end has gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cable_is_pulled_during_a_write(devices, mock, run, monkeypatch):
    """The board vanishes while it is written. A second run succeeds."""
    board = mock()
    write = BootLoader.write

    def pull(loader, parts):
        board.process.kill()
        board.process.wait()
        write(loader, parts)

    monkeypatch.setattr(BootLoader, "write", pull)
    refusal = run(board.port, "--device", devices / "flash-0").refusal
    assert "broke off" in refusal
    assert "flash again" in refusal
    monkeypatch.undo()
    assert run(mock().port, "--device", devices / "flash-0").code == 0
    assert [entry["result"] == "flashed" for entry in run.record()] == [False, True]


def test_port_that_does_not_exist(devices, run):
    assert "is not a port" in run("/dev/ttyNOWHERE0", "--device", devices / "flash-0").refusal


def test_port_that_is_used_by_another_program(devices, run):
    here, there = os.openpty()
    try:
        fcntl.flock(there, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert "used by another" in run(os.ttyname(there), "--device", devices / "flash-0").refusal
    finally:
        os.close(here)
        os.close(there)


def test_no_board_at_the_port(devices, run):
    """The port exists, and nothing is at its other end."""
    here, there = os.openpty()
    try:
        tty.setraw(there)
        done = run(os.ttyname(there), "--device", devices / "flash-0")
        assert (done.code, done.out) == (1, "")
        assert "no board answers" in done.err
    finally:
        os.close(here)
        os.close(there)


def test_unusable_device_is_found_before_anything_is_written(devices, mock, run):
    (devices / "flash-0" / "identity" / "a" / "cert.der").write_bytes(b"x")
    board = mock()
    assert "microdps check" in run(board.port, "--device", devices / "flash-0").refusal
    assert set(board.read(NVS_AT, NVS_SIZE)) == {0xFF}


def test_wrong_usage(devices, run, tmp_path):
    assert "one port" in run("a", "b", "--device", devices / "flash-0").refusal
    assert "has no devices' folders" in run("a", "--devices", tmp_path / "none").refusal
    assert "there is no board" in run("a", "--device", devices / "flash-0", board="X").refusal
    assert run("a").code == 2


def test_fetch_without_mpflash(devices, run, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    refusal = run("a", "--device", devices / "flash-0", "--fetch", "1.27.0").refusal
    assert "pip install mpflash" in refusal
