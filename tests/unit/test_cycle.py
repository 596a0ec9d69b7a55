"""The cycle of a board, and what it does after errors, on a scripted board and scripted peers."""

import sys

from board_world import YEAR_S, Board, Reset

from device_world import DPS, OK, UNAUTHORIZED, World, assigned
from microdps.errors import LinkError
from microdps.session import Session

SETTINGS = {"wifi": None, "interval_s": 60, "messages": 0}


class App:
    """app.py: what read() returns next, or raises. The last one for ever."""

    def __init__(self, *results):
        self.results = list(results)

    def read(self):
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, BaseException):
            raise result
        return result


class Link(World):
    """Peers as a link: the session runs on them, by the board's clock."""

    def __init__(self, board, hub=(OK,), dps=None):
        World.__init__(self, dps or [assigned()], hub)
        self.board = board

    def run(self, flow):
        self.now = self.board.now_ms
        try:
            return World.run(self, flow)
        finally:
            self.board.now_ms = self.now

    def close(self):
        self.drop()


class Life:
    """A cycle on a board, and its app."""

    def __init__(self, board, app, link=None, **settings):
        from microdps.program.board import Board as Own
        from microdps.program.cycle import Cycle

        self.board = board
        self.own = Own()
        self.lines = []
        self.link = link or Link(board)
        session = Session((DPS, "0ne1", "device-01"), 30_000, "https", self.lines.append)
        now = board.said
        choice = {"slot": "a", "trial": False, "begin": None, "failed": 0, "mark": 1}
        choice.update({"expiry": now + YEAR_S, "valid": now - YEAR_S, "until": now + YEAR_S})
        self.cycle = Cycle(self.own, dict(SETTINGS, **settings), choice, session, self.link)
        self.cycle.state = None
        # What is let go is measured elsewhere (tests/memory); to load it again takes time.
        self.cycle.tidy = session.tidy = lambda: None
        self.cycle.save_errors = lambda at_once=False: None
        self.app = app

    def once(self, times=1):
        """So many cycles → the exit code of the last."""
        before = sys.modules.get("app")
        sys.modules["app"] = self.app
        try:
            for _ in range(times):
                code = self.cycle.once()
            return code
        finally:
            if before is None:
                del sys.modules["app"]
            else:
                sys.modules["app"] = before


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


def raised_reset(life, times):
    """The number of the cycle in which the board resets itself."""
    for number in range(1, times + 1):
        try:
            life.once()
        except Reset:
            return number
    return None


def test_ten_faults_in_a_row_reset_the_board_after_growing_waits():
    with Board() as board:
        life = Life(board, App(ValueError("x")), interval_s=1)
        assert raised_reset(life, 20) == 10
        assert life.cycle.faults == 10
        assert board.now_ms == sum(1000 << n for n in range(9))


def test_nine_faults_and_a_message_do_not():
    with Board() as board:
        life = Life(board, App(*([ValueError("x")] * 9 + [{}] + [ValueError("x")] * 9 + [{}])))
        assert raised_reset(life, 20) is None
        assert life.cycle.sent == 2


def test_interval_is_kept_if_it_is_longer_than_the_wait():
    with Board() as board:
        life = Life(board, App(ValueError("x")), interval_s=600)
        life.once(3)
        assert board.now_ms == 3 * 600_000


def test_three_failures_for_want_of_memory_reset_the_board():
    for failure in (MemoryError(), LinkError("memory", "hub: GC heap")):
        with Board() as board:
            life = Life(board, App(failure), interval_s=1)
            assert raised_reset(life, 9) == 3
            assert board.now_ms == 4_000 + 512_000
    with Board() as board:
        life = Life(board, App(MemoryError(), MemoryError(), {}, MemoryError(), {}))
        assert raised_reset(life, 5) is None


def test_errors_of_ours_do_not_reset_it():
    with Board() as board:
        life = Life(board, App({}), Link(board, [OK, LinkError("closed", "hub")]))
        assert raised_reset(life, 40) is None
        assert life.cycle.faults == 0 and life.cycle.why


def test_refused_server_certificate_makes_the_clock_due():
    for code, due in (("server-certificate", True), ("clock", True), ("closed", False)):
        with Board() as board:
            life = Life(board, App(LinkError(code, "hub"), {}), interval_s=1)
            life.own.clock_ms = 5_000_000
            life.once()
            assert (life.own.clock_ms <= life.own.now()) == due


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
    for left_s, told in ((30 * 86_400 + 60, False), (30 * 86_400 - 1, True), (-60, True)):
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
