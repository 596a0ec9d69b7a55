"""What a board does after exceptions: it waits, and resets itself when they go on."""

from board_life import App, Life, Link
from board_world import Board, Reset
from device_world import OK
from microdps.errors import LinkError


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


def test_computer_keeps_the_error_at_once_and_ends():
    with Board() as board:
        life = Life(board, App(LinkError("closed", "hub")))
        saved = []
        life.cycle.save_errors = lambda at_once=False: saved.append(at_once)
        trouble = __import__("microdps.program.trouble", None, None, ["report"])
        trouble.PRESENT = False
        try:
            life.once()
        except LinkError as error:
            assert error.args == ("closed", "hub") and saved == [True]
        else:
            raise AssertionError("it goes on")


def test_configuration_that_cannot_work_is_looked_at_each_minute():
    with Board() as board:
        start = __import__("microdps.program.start", None, None, ["begin"])
        own = Life(board, App({})).own
        results = [LinkError("closed", "hub"), LinkError("closed", "hub"), "cycle"]

        def looked(given):
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        start.start = looked
        assert start.begin(own) == "cycle"
        assert board.now_ms == 120_000 and board.fed == 0
        results += [LinkError("closed", "hub")]
        start.PRESENT = False
        assert start.begin(own) is None


def on_a_computer(board, app, **settings):
    """A cycle where there is nothing to reset."""
    life = Life(board, app, **settings)
    __import__("microdps.program.trouble", None, None, ["report"]).PRESENT = False
    return life


def test_waits_of_a_computer_whose_app_fails_again_and_again_end_at_512_seconds():
    with Board() as board:
        life = on_a_computer(board, App(ValueError("x")), interval_s=1)
        waits = []
        for _ in range(13):
            before = board.now_ms
            life.once()
            waits.append((board.now_ms - before) // 1000)
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512, 512]


def test_computer_without_memory_goes_on():
    with Board() as board:
        life = on_a_computer(board, App(MemoryError()), interval_s=1)
        waits = []
        for _ in range(5):
            before = board.now_ms
            life.once()
            waits.append((board.now_ms - before) // 1000)
        assert waits == [4, 512, 512, 512, 512]


def test_trial_is_ended_by_an_error_that_gives_the_identity_up():
    from microdps import rollover

    before = rollover.failed
    judged = []
    try:
        for given_up, ended in ((False, ""), (True, "the old certificate goes on")):
            rollover.failed = lambda *given, answer=given_up: judged.append(given[2:]) or answer
            with Board() as board:
                life = Life(board, App(LinkError("alert", "hub")))
                life.cycle.choice["trial"] = True
                life.once()
                assert life.cycle.ended == ended
    finally:
        rollover.failed = before
    assert judged == [("state.json", "0ne1/device-01@dps.example")] * 2
