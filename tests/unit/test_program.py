"""The program as a whole: Ctrl-C ends it at any time, and the watchdog is fed afterwards."""

import sys

import microdps.program as program
from board_world import Board


def ran(board, **functions):
    """Run the program, with some of start.py's functions replaced → its exit code."""
    start = __import__("microdps.program.start", None, None, ["begin"])
    for name, function in functions.items():
        setattr(start, name, function)
    before = sys.modules.get("app")
    sys.modules["app"] = App
    program.last.clear()
    try:
        return program.run()
    except KeyboardInterrupt:
        return "interrupted"
    finally:
        if before is None:
            del sys.modules["app"]
        else:
            sys.modules["app"] = before


class App:
    @staticmethod
    def read():
        raise AssertionError("no cycle begins here")


def test_ctrl_c_while_it_waits_after_a_fault_ends_it_and_feeds_the_watchdog():
    with Board() as board:
        timers = []

        class Timer(board.modules["machine"].Timer):
            def init(self, **given):
                timers.append((self.number, given["period"]))

        board.modules["machine"].Timer = Timer

        def begin(own):
            own.watchdog = own
            raise ValueError("a driver")

        clock = board.modules["time"]
        clock.sleep_ms = interrupted
        __import__("microdps.program.journal", None, None, ["save"]).save = lambda *_: None
        own = __import__("microdps.program.board", None, None, ["Board"]).Board
        own.feed = lambda self: None
        assert ran(board, begin=begin) == 1
        assert timers == [(1, 10_000)]
        assert "up_ms" in program.last


def interrupted(ms):
    raise KeyboardInterrupt
