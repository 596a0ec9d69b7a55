"""main.py as a board runs it: with stand-ins for the modules that only a board has."""

import datetime
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from conftest import interrupt
from host_tools import CHECKOUT, certs, config, interpreter, run
from host_tools.simulator.store import Store

STANDINS = CHECKOUT / "host_tools" / "virtual_board" / "standins"
HEAP = "192k"  # the program is compiled on the board here; deployed, it is not


class BoardFolder:
    """A device's folder, which main.py runs in as on a board's file system."""

    def __init__(self, simulator, folder, name):
        self.folder = folder
        self.simulator = simulator
        self.name = name
        identity = simulator.device(name).parent.parent
        config.write_identity(folder, identity, str(simulator.root))
        self.configure(
            id_scope=simulator.id_scope,
            registration_id=name,
            host=simulator.dps,
            interval_s=0.05,
            messages=3,
            wifi={"ssid": "home", "password": "x"},
        )
        run.lay(folder)

    def configure(self, **changes):
        config.write_config(self.folder, changes)

    def start(self, **environment):
        return subprocess.Popen(
            [*interpreter.micropython(HEAP).command, "main.py"],
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{STANDINS}:.frozen", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def boot(self, **environment) -> str:
        """Run to the end → what it printed."""
        with self.start(**environment) as process:
            return process.communicate(timeout=60)[0]

    def until(self, text: str) -> str:
        """Run until a line has a text, then press Ctrl-C → what was printed up to that line."""
        with self.start() as process:
            seen = ""
            for line in process.stdout:
                seen += line
                if text in line:
                    break
            else:
                raise AssertionError(seen)
            interrupt(process)
            rest = process.communicate(timeout=30)[0]
            assert "stopped\n" in rest, rest
        return seen

    def requests(self) -> list[str]:
        store = Store(self.simulator.state)
        rows = [r for r in store.requests() if f"/{self.name}/" in r["path"]]
        store.close()
        return [r["method"] for r in rows]

    def errors(self) -> list[dict]:
        return json.loads((self.folder / "errors.json").read_text())

    def lay(self, pair: certs.Pair, issuers=()):
        """Put an identity into slot b."""
        made = self.simulator.lay(f"{self.name}-b", pair, issuers)
        shutil.copytree(made, self.folder / "identity" / "b")

    def state(self) -> dict:
        return json.loads((self.folder / "state.json").read_text().split(" ", 1)[1])


@pytest.fixture
def board(simulator, tmp_path, request):
    name = request.node.name.removeprefix("test_")[:50].strip("_").replace("_", "-")
    return BoardFolder(simulator, tmp_path / "board", name)


def test_joins_sets_the_clock_and_sends(board):
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
    """Whichever that is: DPS, or the hub with a kept assignment; and not before each try."""
    run.lay(board.folder, sources=True)
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
    # At the REPL, too, the watchdog is fed.
    assert "machine: timer 1 every 10000 ms" in shown


def test_led_goes_on_blinking_when_the_program_cannot_go_on(board):
    board.configure(led=2)
    (board.folder / "identity" / "a" / "key.der").unlink()
    shown = board.until("machine: timer 0 every 300 ms")
    assert "key.der: the file is missing" in shown
    assert "machine: timer 0 stopped" not in shown


def test_fault_of_app_py_is_reported_and_no_reason_to_stop(board):
    (board.folder / "app.py").write_text(
        "calls = []\n"
        "def read():\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2:\n"
        "        raise ZeroDivisionError('sensor')\n"
        "    return {'n': len(calls)}\n"
    )
    shown = board.boot()
    assert "error: app.py:" in shown
    assert "ZeroDivisionError: sensor" in shown
    assert "done: 3 messages sent" in shown


def test_wifi_that_is_not_there_is_reported_and_tried_again(board):
    board.configure(wifi={"ssid": "gone", "password": "wrong"})
    run.lay(board.folder, sources=True)
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
    with open(board.folder / "boot.py", "w") as file:
        file.write("import ntptime\nntptime.host = 'wrong'\n")
    main = (board.folder / "main.py").read_text()
    (board.folder / "main.py").write_text("import boot\n" + main)
    process = board.start()
    seen = ""
    for line in process.stdout:
        seen += line
        if seen.count("no time server answers") == 2:
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
    """A refused registration: told each time, written once in a minute."""
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


def moment(**later) -> datetime.datetime:
    """Now, or so much later, for a certificate to be valid from. What the simulator issued before
    is valid from an earlier moment."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(**later)


@pytest.fixture
def renewed(board):
    """A board whose next certificate lies in slot b."""
    board.boot()
    issuer = board.simulator.intermediate
    pair = certs.issue(board.name, issuer, start=moment())
    board.lay(pair, [issuer.cert])
    return board


def test_newer_certificate_is_tried_and_kept(renewed):
    shown = renewed.boot()
    assert "trying the newer one in slot b" in shown
    assert "the one in slot b is in use now" in shown
    assert "done: 3 messages sent" in shown
    assert renewed.state()["slot"] == "b"
    again = renewed.boot()
    assert "trying" not in again and "register:" not in again
    assert "done: 3 messages sent" in again


def test_certificate_on_trial_survives_a_power_cut_at_every_step(renewed):
    for step in ("trying the newer one", "register: 202", "assigned to"):
        with renewed.start() as process:
            for line in process.stdout:
                if step in line:
                    break
            process.kill()
        assert renewed.state().get("slot") != "b", step
    assert "the one in slot b is in use now" in renewed.boot()


def test_refused_certificate_is_given_up_for_the_old_one_and_not_tried_again(board):
    board.boot()
    stranger = certs.issue("stranger", ca=True)
    pair = certs.issue(board.name, stranger, start=moment())
    board.lay(pair, [stranger.cert])
    shown = board.boot()
    assert "error: certificate in slot b given up" in shown
    assert "the old certificate goes on: the board is reset" in shown
    assert "done: 3 messages sent" in board.boot()
    assert [entry["code"] for entry in board.errors()] == [401002]
    again = board.boot()
    assert "trying" not in again
    assert "done: 3 messages sent" in again


def test_slot_that_is_not_whole_is_reported_and_the_old_one_goes_on(renewed):
    (renewed.folder / "identity" / "b" / "cert.der").write_bytes(b"half of it")
    shown = renewed.boot()
    assert "error: identity/b/cert.der: " in shown
    assert "done: 3 messages sent" in shown


def test_older_certificate_in_the_other_slot_is_left_alone(board):
    issuer = board.simulator.intermediate
    pair = certs.issue(board.name, issuer, start=moment(days=-30))
    board.lay(pair, [issuer.cert])
    assert "trying" not in board.boot()


def test_lost_slot_is_reported_and_the_other_one_used(renewed):
    renewed.boot()
    shutil.rmtree(renewed.folder / "identity" / "b")
    shown = renewed.boot()
    assert "error: identity/b/key.der: " in shown
    assert "done: 3 messages sent" in shown


def test_identity_in_an_nvs_partition(board):
    """An image of ESP-IDF's own tool; the folder identity/ is not there."""
    identity = board.folder / "identity" / "a"
    rows = ["key,type,encoding,value", "microdps,namespace,,"]
    rows += [f"{part},file,binary,{identity / part}.der" for part in ("key", "cert", "roots")]
    table = board.folder / "nvs.csv"
    table.write_text("\n".join(rows) + "\n")
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate"]
    subprocess.run([*command, table, board.folder / "nvs.bin", "0x6000"], check=True)
    shutil.rmtree(board.folder / "identity")
    assert "done: 3 messages sent" in board.boot()


def test_hub_that_asks_late_is_told_once_and_remembered(late_simulator, tmp_path):
    board = BoardFolder(late_simulator, tmp_path / "board", "remembers-mqtt")
    shown = board.boot()
    assert shown.count("asks for the certificate late, by all signs: sending by MQTT") == 1
    assert "done: 3 messages sent" in shown
    assert board.state()["transport"] == "mqtt"
    again = board.boot()
    assert "late" not in again and "register:" not in again
    assert "done: 3 messages sent" in again
