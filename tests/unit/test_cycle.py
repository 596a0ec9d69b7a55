"""The cycle of a board: when it reads and sends, and what ends it."""

import sys

from board_life import App, Life, Link
from board_world import YEAR_S, Board
from device_world import UNAUTHORIZED


def test_interval_goes_by_ticks():
    with Board() as board:
        life = Life(board, App({"n": 1}))
        life.once()
        assert board.now_ms == 60_000  # the first one is a whole one
        board.said += YEAR_S
        life.once()
        board.said -= 2 * YEAR_S
        life.once()
        assert board.now_ms == 180_000 and life.cycle.sent == 3


def test_interval_of_weeks_is_as_long_as_it_should_be():
    with Board() as board:
        life = Life(board, App({"n": 1}), interval_s=7 * 24 * 3600)
        board.now_ms = 0x3FFFFFFF - 5  # the ticks wrap at once
        life.own._ticks = board.modules["time"].ticks_ms()
        start = board.now_ms
        life.once()
        assert board.now_ms - start == 7 * 24 * 3600 * 1000


def test_work_is_a_part_of_the_interval_and_one_that_is_over_is_not_waited_for():
    with Board() as board:

        def slow():
            board.now_ms += 25_000
            return {}

        life = Life(board, App({}))
        life.app.read = slow
        life.once()
        assert board.now_ms == 60_000
        life.cycle.interval_ms = 20_000
        life.once()
        assert board.now_ms == 85_000


def test_it_ends_when_all_messages_are_sent():
    with Board() as board:
        life = Life(board, App({}), messages=3)
        assert life.once(2) is None
        assert life.once() == 0 and life.cycle.sent == 3


def test_none_is_nothing_to_send():
    with Board() as board:
        life = Life(board, App(None, None, {}), messages=1)
        assert life.once(2) is None and life.cycle.sent == 0
        assert life.link.sent == [] and life.cycle.errors == []
        assert life.once() == 0


def test_exception_of_the_app_is_noted_and_the_next_cycle_begins():
    for failure in (ValueError("x"), SystemExit(3), MemoryError(), KeyError(1), Exception()):
        with Board() as board:
            life = Life(board, App({}, failure, {}))
            life.once(3)
            assert life.cycle.sent == 2, failure
            (entry,) = life.cycle.errors
            assert entry["code"] == type(failure).__name__ and entry["exception"]


def test_what_cannot_be_sent_is_noted():
    for data in (5, (1, 2), {"t": float("nan")}, {1: 2}, {"s": {1}}):
        with Board() as board:
            life = Life(board, App(data, {}))
            life.once(2)
            (entry,) = life.cycle.errors
            assert entry["code"] in ("TypeError", "ValueError")
            assert life.cycle.sent == 1


def test_ctrl_c_ends_it():
    with Board() as board:
        life = Life(board, App(KeyboardInterrupt()))
        try:
            life.once()
        except KeyboardInterrupt:
            return
    raise AssertionError("it goes on")


def test_led_shows_how_it_goes():
    with Board() as board:
        from microdps.program.start import configure

        life = Life(board, App({}, ValueError("x"), {}))
        configure(life.own, 2, 60)
        assert board.made("WDT") == [(60_000,)]
        led, timer = life.own.led, life.own.timer
        assert led.number == 2
        life.once()
        assert led.lit == 0 and timer.given is None
        life.once()
        assert timer.given["period"] == 300
        timer.given["callback"](timer)
        assert led.lit == 1
        timer.given["callback"](timer)
        assert led.lit == 0
        life.once()
        assert timer.given is None
        assert board.fed >= 120  # once a second


def test_certificate_that_expires_is_a_property():
    for left_s, told in ((30 * 86_400, False), (30 * 86_400 - 1, True), (-60, True)):
        with Board() as board:
            life = Life(board, App({}))
            life.cycle.choice["expiry"] = board.said + left_s
            life.once()
            assert (b"iothub-app-certificate: expire" in life.link.sent[-1]) == told


def test_newer_certificate_that_becomes_valid_ends_the_cycle():
    with Board() as board:
        life = Life(board, App({}))
        life.cycle.choice["begin"] = board.said + 90
        life.once(2)
        assert life.cycle.ended == ""
        life.once()
        assert life.cycle.ended
    for early_s, ended in ((1, False), (0, True)):
        with Board() as board:
            life = Life(board, App({}))
            life.cycle.choice["begin"] = board.said + early_s
            life.once()
            assert bool(life.cycle.ended) == ended


def test_refusal_is_told_apart_from_the_apps_faults():
    with Board() as board:
        link = Link(board, [UNAUTHORIZED])
        life = Life(board, App({}), link, interval_s=1)
        life.once(3)
        assert life.cycle.faults == 0 and life.cycle.why == 401003
        assert [entry["code"] for entry in life.cycle.errors] == [401003]


def test_idle_mqtt_connection_is_looked_after():
    with Board() as board:
        life = Life(board, App({}), interval_s=300)
        pings = []

        class Mqtt:
            def ping(self, session):
                pings.append(board.now_ms)
                return
                yield

        life.once()
        life.cycle.session.mqtt = Mqtt()
        life.app = App(None)
        life.once()
        assert pings == [360_000, 420_000, 480_000, 540_000]


def test_wifi_is_looked_after_before_a_message_if_it_was_lost_or_the_clock_is_due():
    joined = []
    for online, clock_ms, looked in (
        (None, 60_001, True),
        (False, 60_001, True),
        (True, 59_999, True),
        (True, 60_000, True),
        (True, 60_001, False),
    ):
        with Board() as board:
            life = Life(board, App({}))
            life.once()
            life.cycle.wifi = {"ssid": "home", "password": ""}
            life.own.online = None if online is None else lambda online=online: online
            life.own.clock_ms = clock_ms
            wifi = __import__("microdps.program.wifi", None, None, ["join"])
            wifi.join = lambda own, given, choice: joined.append((given["ssid"], choice["slot"]))
            del joined[:]
            life.once()
            assert joined == [("home", "a")] * looked, (online, clock_ms)
            assert life.cycle.sent == 2


def test_errors_are_written_to_flash_each_ten_minutes():
    with Board() as board:
        cycle = Life(board, App({})).cycle
        del cycle.save_errors
        written = []
        journal = __import__("microdps.program.journal", None, None, ["save"])
        journal.save = lambda path, errors: written.append((path, errors))
        cycle.save_errors()
        assert written == []
        for now_ms, at_once, number in (
            (5, (), 1),
            (600_004, (), 1),
            (600_005, (), 2),
            (600_006, (True,), 3),
        ):
            cycle.errors = ["error"]
            board.now_ms = now_ms
            cycle.save_errors(*at_once)
            assert written == [("errors.json", ["error"])] * number, now_ms
            assert cycle.errors == (["error"] if now_ms == 600_004 else [])


def test_program_is_proven_by_its_first_message():
    with Board() as board:
        life = Life(board, App({}))
        proofs = []
        trial = __import__("microdps.program.trial", None, None, ["proven"])
        trial.proven = lambda: proofs.append(life.cycle.sent)
        life.once(3)
        assert life.cycle.sent == 3 and proofs == [1]


def test_modules_are_let_go_when_there_are_more_than_before():
    with Board() as board:
        life = Life(board, App({}))
        module = sys.modules["microdps.program.cycle"]
        kept = []
        module.let_go = kept.append
        cycle = life.cycle
        cycle.session.tidy = None
        tidy = type(cycle).tidy
        tidy(cycle)
        tidy(cycle)
        assert kept == [""]
        cycle.session.https = cycle.session.mqtt = True
        sys.modules["one-more"] = module
        try:
            tidy(cycle)
            tidy(cycle)
        finally:
            del sys.modules["one-more"]
        assert kept == ["", "protocol.mqtt protocol.http protocol.hub "]


def test_what_is_let_go_is_of_the_package_and_not_needed_while_all_goes_well():
    with Board():
        cycle = __import__("microdps.program.cycle", None, None, ["let_go"])
        for name in ("rollover", "protocol.http", "protocol.body", "program.start"):
            __import__("microdps." + name)
        cycle.let_go("protocol.http ")
        for name, there in (
            ("rollover", False),
            ("program.start", False),
            ("protocol.http", True),
            ("protocol.body", True),
            ("program.cycle", True),
        ):
            assert ("microdps." + name in sys.modules) == there, name
        assert not hasattr(sys.modules["microdps"], "rollover")
        assert "json" in sys.modules or sys.implementation.name == "micropython"


def printed(life, times):
    """What so many cycles print."""
    lines = []
    module = sys.modules["microdps.program.cycle"]
    module.print = lambda *words: lines.append(" ".join([str(word) for word in words]))
    try:
        life.once(times)
    finally:
        del module.print
    return lines


def test_nothing_to_send_is_said_once():
    with Board() as board:
        lines = printed(Life(board, App(None)), 3)
        assert lines == ["app.py: read() returned None: nothing to send"]


def test_wait_after_a_power_cut_comes_once():
    with Board() as board:
        life = Life(board, App({}))
        life.own.spread_ms = 45_000
        lines = printed(life, 2)
        assert [line for line in lines if "power is back" in line] == [
            "power is back: waiting 45000 ms, as all boards start now"
        ]
        assert board.now_ms == 120_000
