"""Joining the Wi-Fi, and how far a time server is believed."""

from board_world import YEAR_S, Board
from harness import raised
from microdps.errors import LinkError

WIFI = {"ssid": "home", "password": "secret"}
DAY_MS = 86_400_000


def choice(board):
    """An identity that is valid since a year, with roots for ten more."""
    return {"valid": board.said - YEAR_S, "until": board.said + 10 * YEAR_S}


def joined(board):
    """Join → the microdps.program.board.Board, and a function that joins again."""
    from microdps.program.board import Board as Own
    from microdps.program.wifi import join

    own = Own()
    given = choice(board)

    def again():
        join(own, WIFI, given)

    again()
    return own, again


def test_it_joins_once_and_sets_the_clock():
    with Board() as board:
        own, again = joined(board)
        assert board.made("connect") == [("home", "secret")]
        assert board.made("active") == [(False,), (True,)]
        (moment,) = board.made("datetime")[0]
        year, month, day, weekday, hour, minute, second, part = moment
        now = board.modules["time"].gmtime(board.said)
        assert (year, month, day, hour, minute, second) == tuple(now[:6])
        assert weekday == now[6] and part == 0
        assert own.online()
        again()
        assert len(board.made("connect")) == 1 and len(board.made("ntp")) == 1


def test_network_that_is_not_joined_in_20_seconds():
    with Board() as board:
        board.joins = None
        error = raised(joined, board)
        assert error.args == ("wifi", "home")
        assert board.now_ms == 20_100  # looked at each tenth of a second
    for waited_ms, given_up in ((20_000, False), (20_001, True)):
        with Board() as board:
            board.joins = 4  # at the second look after a sleep
            board.modules["time"].sleep_ms = sleeping(board, waited_ms)
            if given_up:
                assert raised(joined, board).args == ("wifi", "home")
            else:
                joined(board)


def sleeping(board, ms):
    """A sleep that takes so long, whatever it was asked for."""

    def sleep_ms(_):
        board.now_ms += ms

    return sleep_ms


def test_exceptions_of_the_driver_reach_the_cycle():
    for name in ("active", "connect", "ifconfig"):
        with Board() as board:
            board.raises[name] = RuntimeError("Wifi Unknown Error 0x0101")
            assert isinstance(raised(joined, board), RuntimeError)


def test_whatever_ntptime_raises_is_an_error_of_ours():
    for failure in (OSError(-202), OSError(110), ValueError(), IndexError(), OverflowError("x")):
        with Board() as board:
            board.raises["ntp"] = failure
            error = raised(joined, board)
            assert isinstance(error, LinkError) and error.args[0] == "ntp"
            assert error.args[1] == "pool.ntp.org: %r" % failure
    with Board() as board:
        board.raises["ntp"] = MemoryError()
        assert isinstance(raised(joined, board), MemoryError)


def test_time_outside_of_certificate_and_roots_is_not_believed():
    for shift_s, believed in (
        (-YEAR_S, True),
        (-YEAR_S - 1, False),
        (10 * YEAR_S, True),
        (10 * YEAR_S + 1, False),
    ):
        with Board() as board:
            given = choice(board)
            board.said += shift_s
            from microdps.program.wifi import set_clock

            if believed:
                set_clock(given["valid"], given["until"])
            else:
                error = raised(set_clock, given["valid"], given["until"])
                year = board.modules["time"].gmtime(board.said)[0]
                assert error.args[0] == "ntp"
                assert error.args[1].startswith("pool.ntp.org says %d-" % year)
            assert len(board.made("datetime")) == believed


def test_clock_is_set_once_a_day():
    with Board() as board:
        own, again = joined(board)
        assert own.clock_ms == board.now_ms + DAY_MS
        board.now_ms += DAY_MS - 1
        again()
        assert len(board.made("ntp")) == 1
        board.now_ms += 1
        again()
        assert len(board.made("ntp")) == 2 and len(board.made("connect")) == 1


def test_clock_that_was_set_goes_on_without_a_time_server_which_is_asked_each_hour():
    with Board() as board:
        own, again = joined(board)
        board.raises["ntp"] = OSError(110)
        board.now_ms += DAY_MS
        again()
        assert own.clock_ms == board.now_ms + 3_600_000
        board.now_ms += 3_600_000
        again()
        assert len(board.made("ntp")) == 3


def test_clock_that_was_never_set_is_asked_for_at_each_call():
    with Board() as board:
        board.raises["ntp"] = OSError(110)
        from microdps.program.board import Board as Own
        from microdps.program.wifi import join

        own = Own()
        for _ in range(3):
            assert raised(join, own, WIFI, choice(board)).args[0] == "ntp"
        assert own.clock_ms == 0 and own.online is None
        assert len(board.made("ntp")) == 3


def test_lost_network_is_joined_again():
    with Board() as board:
        own, again = joined(board)
        board.joins = 4
        assert not own.online()
        again()
        assert len(board.made("connect")) == 2 and own.online()
