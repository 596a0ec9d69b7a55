"""How the program ends, and the end of a program's trial."""

import errno
import os

from board_life import App, Life
from board_world import Board, Reset
from harness import raised
from microdps.errors import LinkError

USE = "program/use"


def own():
    from microdps.program.board import Board as Own

    return Own()


def test_ten_failures_of_the_program_reset_the_board():
    with Board() as board:
        from microdps.program.ending import fault

        saved = []
        mine = own()
        from microdps.program import journal

        journal.save = lambda path, entries: saved.append((path, entries[0]["code"]))
        for number in range(1, 10):
            assert fault(mine, ValueError("x")) is None
            assert board.now_ms == number * 60_000
        assert isinstance(reset_by(fault, mine, LinkError("closed", "hub")), Reset)
        assert saved == [("errors.json", "ValueError")]


def reset_by(function, *arguments):
    try:
        function(*arguments)
    except Reset as reset:
        return reset
    return None


def test_watchdog_is_fed_at_the_repl():
    with Board() as board:
        from microdps.program.ending import at_repl

        mine = own()
        timers = []

        class Timer(board.modules["machine"].Timer):
            def init(self, **given):
                self.given = given
                timers.append(self)

        board.modules["machine"].Timer = Timer
        at_repl(mine)
        assert timers == []
        from microdps.program.start import configure

        configure(mine, -1, 120)
        at_repl(mine)
        (timer,) = timers
        assert timer.number == 1 and timer.given["period"] == 10_000
        timer.given["callback"](timer)
        assert board.fed == 1
        assert mine.led is None


def test_power_that_is_back_spreads_the_boards():
    for cause, spread in ((1, True), (2, False)):
        with Board(cause) as board:
            from microdps.program.start import configure

            mine = own()
            configure(mine, -1, 0)
            assert (mine.spread_ms > 0) == spread and mine.spread_ms < 60_000
            mine.spread_ms = 0
            configure(mine, -1, 0)
            assert mine.spread_ms == 0 and board.made("WDT") == []


def in_folder(test):
    """Run a test with a file program/use, which begins as "b3a"."""
    os.mkdir("program")
    try:
        with open(USE, "w") as file:
            file.write("b3a")
        test()
    finally:
        for name in os.listdir("program"):
            os.remove("program/" + name)
        os.rmdir("program")


def proven():
    """The program has sent a message → what is printed."""
    from microdps.program import trial

    lines = []
    trial.print = lines.append
    try:
        trial.proven()
    finally:
        del trial.print
    return lines


def test_program_that_has_sent_a_message_stays():
    def test():
        for said in (["program: the one in slot b stays in use"], []):
            assert proven() == said
            with open(USE) as file:
                assert file.read() == "b"
        assert os.listdir("program") == ["use"]

    in_folder(test)


def test_use_that_cannot_be_written_is_told():
    def test():
        from microdps.program import trial

        class Flash:
            @staticmethod
            def rename(old, new):
                raise OSError(28, "no space")

        trial.os = Flash
        try:
            (line,) = proven()
        finally:
            trial.os = os
        assert line.startswith("error: cannot write program/use: ") and "28" in line

    in_folder(test)


def test_without_slots_there_is_nothing_to_prove():
    assert "program" not in os.listdir(".")
    missing = raised(open, "program/use").args[0]
    # A WebAssembly build has numbers of its own.
    assert proven() == [] or missing != errno.ENOENT
    assert "program" not in os.listdir(".")


def test_errors_are_saved_at_once_when_the_program_is_stopped():
    with Board() as board:
        from microdps.program.ending import stopped

        life = Life(board, App({}))
        saved = []
        life.cycle.save_errors = saved.append
        life.cycle.why = 401003
        life.cycle.session.wait_ms = 5000
        mine = life.own
        mine.heap = 64_000
        board.now_ms = 2000
        last = stopped(mine)
        assert (last["first"], last["up_ms"], saved) == (64_000, 2000, [])
        mine.cycle = life.cycle
        life.link.now = lambda: 1500
        last = stopped(mine)
        assert (last["wait_ms"], last["why"], saved) == (3500, 401003, [True])


def test_computer_tells_an_error_and_raises_a_fault():
    from microdps.program.ending import fault

    class Computer:
        present = False

    assert fault(Computer(), LinkError("closed", "hub")) == 1
    assert isinstance(raised(fault, Computer(), ValueError("x")), ValueError)
