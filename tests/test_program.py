"""main.py as a board runs it, with fake modules in place of the board's own."""

import time

import pytest

from helpers.board_folders import BoardFolder, board_for, interrupt
from microdps_tools.device.program import install_program


@pytest.fixture
def board(simulator, tmp_path, request):
    return board_for(request, simulator, tmp_path)


def test_board_joins_wifi_sets_the_clock_and_sends(board):
    shown = board.boot()
    assert "Wi-Fi: joined as" in shown
    assert "clock: set to" in shown
    assert shown.count("204 in") == 3
    assert "done: 3 messages sent" in shown
    assert shown.count("Wi-Fi: joining") == 1


def test_reboot_goes_straight_to_the_hub(board):
    board.boot()
    assert board.requests() == ["PUT", "GET", "POST", "POST", "POST"]
    shown = board.boot()
    assert board.requests() == ["PUT", "GET"] + ["POST"] * 6
    assert "register" not in shown


def test_damaged_state_is_reported_once_and_replaced(board):
    board.boot()
    (board.folder / "state.json").write_text("rubbish")
    assert "the state file is damaged" in board.boot()
    assert "state file" not in board.boot()
    assert board.requests().count("PUT") == 2


def test_power_that_is_back_spreads_the_boards_once_before_the_first_connection(board):
    """Whether to DPS, or to the hub with a kept assignment; and not before each attempt."""
    install_program(board.folder, sources=True)
    source = board.folder / "microdps" / "program" / "start.py"
    text = source.read_text()
    assert "_SPREAD_MS = const(60_000)" in text
    source.write_text(text.replace("_SPREAD_MS = const(60_000)", "_SPREAD_MS = const(20)"))
    for first in ("register: 202", "messages/events: 204"):
        shown = board.boot(RESET_CAUSE="1")
        assert shown.count("power is back: waiting") == 1
        assert shown.index("power is back") < shown.index(first)
        assert shown.count("204 in") == 3
    assert "power is back" not in board.boot(RESET_CAUSE="3")


def test_led_and_watchdog(board):
    board.configure(led=2, watchdog_s=60)
    shown = board.boot()
    assert "machine: watchdog of 60000 ms" in shown
    assert shown.count("machine: pin 2 on") == 3
    assert shown.count("machine: pin 2 off") == 3
    # The timer feeds the watchdog at the REPL, too.
    assert "machine: timer 1 every 10000 ms" in shown


def test_led_keeps_blinking_after_the_program_has_stopped(board):
    board.configure(led=2)
    (board.folder / "identity" / "a" / "key.der").unlink()
    shown = board.until("machine: timer 0 every 300 ms")
    assert "key.der: the file is missing" in shown
    assert "machine: timer 0 stopped" not in shown


def test_error_in_app_py_is_reported_and_does_not_stop_the_program(board):
    (board.folder / "app.py").write_text(
        "calls = []\n"
        "def read():\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2:\n"
        "        raise ZeroDivisionError('sensor')\n"
        "    return {'n': len(calls)}\n"
    )
    shown = board.boot()
    assert "error: ZeroDivisionError: sensor (app.py:5)" in shown
    (entry,) = board.errors()
    assert (entry["code"], entry["where"]) == ("ZeroDivisionError", "sensor (app.py:5)")
    assert "done: 3 messages sent" in shown


@pytest.mark.parametrize("code", ["import sys\nsys.exit(3)\n", "raise SystemExit\n", "def f(:\n"])
def test_app_that_cannot_be_loaded_is_reported_and_does_not_stop_the_program(board, code):
    (board.folder / "app.py").write_text(code)
    kind = "SyntaxError" if "def" in code else "SystemExit"
    assert "stopped" not in board.until(f"error: {kind}: ")
    (entry,) = board.errors()
    assert entry["code"] == kind


def test_missing_wifi_is_reported_and_tried_again(board):
    board.configure(wifi={"ssid": "gone", "password": "wrong password"})
    install_program(board.folder, sources=True)
    source = board.folder / "microdps" / "program" / "wifi.py"
    source.write_text(source.read_text().replace("const(20_000)", "const(200)"))
    process = board.start()
    seen = []
    for line in process.stdout:
        seen.append(line)
        if sum("the Wi-Fi was not joined" in line for line in seen) == 2:
            break
    interrupt(process)
    rest = process.communicate(timeout=30)[0]
    assert "stopped" in rest
    (entry,) = board.errors()
    assert (entry["code"], entry["where"]) == ("wifi", "gone")
    assert entry["free"] > 0
    assert entry["idf_free"] == 120000


def test_time_server_that_does_not_answer_is_reported_and_asked_again(board):
    board.configure(ntp="wrong.example")
    process = board.start()
    seen = ""
    for line in process.stdout:
        seen += line
        if seen.count("no time server gives a time") == 2:
            break
    process.kill()
    process.communicate(timeout=30)
    assert seen.count("UDP port 123") == 2
    assert "204 in" not in seen


def test_ctrl_c_stops_cleanly(board):
    board.configure(messages=0, interval_s=30)
    process = board.start()
    for line in process.stdout:
        if "204 in" in line:
            break
    interrupt(process)
    start = time.monotonic()
    rest = process.communicate(timeout=30)[0]
    assert time.monotonic() - start < 5
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert process.returncode == 0


def test_quiet_log_shows_errors_only(board):
    board.configure(log="error")
    shown = board.boot()
    assert "204 in" not in shown
    assert "done: 3 messages sent" in shown


def test_errors_are_kept_counted_and_rate_limited(board):
    """A refused registration is printed each time, and written to flash once a minute."""
    board.configure(registration_id="somebody-else", messages=0)
    process = board.start()
    for line in process.stdout:
        if "the certificate was not accepted" in line:
            break
    interrupt(process)
    process.communicate(timeout=30)
    (entry,) = board.errors()
    assert entry["code"] == 401002
    assert entry["count"] == 1
    assert len(entry["tracking_id"]) == 36
    assert entry["utc"].startswith("20")


def test_broken_config_stops_the_program_and_names_the_key(board):
    (board.folder / "config.json").write_text('{"id_scope": "0ne1"}')
    board.until("config.json: registration_id: this key is missing")


def test_hub_that_asks_late_is_reported_once_and_remembered(late_simulator, tmp_path):
    board = BoardFolder(late_simulator, tmp_path / "board", "remembers-mqtt")
    shown = board.boot()
    assert shown.count("asks for the certificate late, by all signs: sending by MQTT") == 1
    assert "done: 3 messages sent" in shown
    assert board.state()["transport"] == "mqtt"
    again = board.boot()
    assert "late" not in again and "register:" not in again
    assert "done: 3 messages sent" in again
