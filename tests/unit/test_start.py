"""From the configuration and the identity to the cycle, on a scripted board."""

from board_world import Board
from outbox_world import FOLDER, clean, outbox

SETTINGS = {
    "host": "dps.example",
    "id_scope": "0ne1",
    "registration_id": "device-01",
    "wifi": {"ssid": "home", "password": "secret12"},
    "interval_s": 60,
    "messages": 7,
    "transport": "https",
    "log": "info",
    "ntp": "time.example",
    "led": -1,
    "watchdog_s": 0,
    "outbox": "never",
    "outbox_kb": 64,
    "outbox_keep": "newest",
}


def module(name):
    return __import__("microdps.program." + name, None, None, ["x"])


def own():
    return module("board").Board()


class Started:
    """What start() makes of settings, by an identity in slot b.

    lines     what was printed
    restored  the sessions whose state was restored
    """

    def __init__(self, present=True, trial=False, **settings):
        self.own = own()
        self.lines = []
        self.restored = []
        start = self.start = module("start")
        start.PRESENT = present
        start.print = lambda *words: self.lines.append(" ".join(words))
        start.let_go = lambda: None
        start.make_link = lambda board, slot: slot
        start.choose = lambda board, owner: {"slot": "b", "trial": trial, "owner": owner}
        config = module("config")
        state = __import__("microdps.state", None, None, ["restore"])
        before = config.load, state.restore
        config.load = lambda path, log: dict(SETTINGS, **settings)
        state.restore = lambda path, session: self.restored.append((path, session))
        try:
            self.cycle = start.start(self.own)
        finally:
            config.load, state.restore = before


def test_cycle_has_what_the_configuration_says():
    with Board() as board:
        made = Started()
        cycle, session = made.cycle, made.cycle.session
        assert session.owner == ("dps.example", "0ne1", "device-01")
        assert session.timeout_ms == 30_000 and session.transport == "https"
        assert session.buf is made.own.buf and len(session.buf) == 4096
        assert (cycle.interval_ms, cycle.messages) == (60_000, 7)
        assert cycle.wifi == SETTINGS["wifi"] and cycle.link == "b"
        assert board.modules["ntptime"].host == "time.example"
        assert made.lines == [] and made.restored == [("state.json", session)]
        assert cycle.state == "state.json"


def test_identity_on_trial_knows_nothing_of_the_old_ones_state():
    with Board():
        made = Started(trial=True)
        assert made.restored == [] and made.cycle.state is None


def test_wifi_that_is_not_configured_or_not_there_is_skipped():
    for present, wifi, why in (
        (True, {}, "config.json names none"),
        (False, SETTINGS["wifi"], "this machine has no network module"),
        (False, {}, "this machine has no network module"),
    ):
        with Board() as board:
            made = Started(present, wifi=wifi)
            assert made.cycle.wifi is None
            assert made.lines == ["Wi-Fi: skipped, " + why]
            assert board.modules["ntptime"].host == "pool.ntp.org"


@clean
def test_outbox_is_used_if_the_configuration_says_so():
    with Board():
        assert Started().cycle.outbox is None
        made = Started(outbox="on-failure", outbox_kb=8, outbox_keep="oldest")
        assert made.cycle.outbox == ("on-failure", 8, "oldest")
        assert not made.cycle.backlog
        assert Started(present=False, outbox="on-failure").cycle.outbox is None
        assert Started(present=False, outbox="always").cycle.outbox[0] == "always"
        outbox().queue(b"kept before")
        module("start").OUTBOX = FOLDER
        assert Started(outbox="on-failure").cycle.backlog
        assert not Started().cycle.backlog


def test_log_of_errors_leaves_out_the_rest():
    for level, said in (("info", ["PUT", "error: x"]), ("error", ["error: x"])):
        with Board():
            made = Started(log=level)
            lines = []
            quiet = module("quiet")
            quiet.print = lines.append
            made.start.print = lines.append
            try:
                log = made.start.make_session(
                    made.own, dict(SETTINGS, log=level), ("d", "", "")
                ).log
                log("PUT")
                log("error: x")
            finally:
                del quiet.print
            assert lines == said


def test_led_may_be_of_number_0():
    for number, there in ((-1, False), (0, True), (33, True)):
        with Board():
            mine = own()
            module("start").configure(mine, number, 0)
            assert (mine.led is not None) == there and (mine.timer is not None) == there
            led = mine.led
            module("start").configure(mine, number, 0)
            assert mine.led is led
            assert not there or (led.number, mine.timer.number) == (number, 0)


def test_boards_whose_power_is_back_wait_up_to_a_minute():
    with Board(cause=1):
        start = module("start")
        asked = []

        class Chance:
            @staticmethod
            def randrange(first, end):
                asked.append((first, end))
                return 59_999

        start.random = Chance
        mine = own()
        start.configure(mine, -1, 0)
        assert asked == [(1, 60_000)] and mine.spread_ms == 59_999
        start.configure(mine, -1, 0)
        assert asked == [(1, 60_000)]


def test_heap_is_measured_at_the_first_start_only():
    with Board():
        start = module("start")
        sizes = [64_000, 90_000]
        start.heap_size = lambda: sizes.pop(0)
        start.start = lambda board: "cycle"
        mine = own()
        assert start.begin(mine) == "cycle" and mine.heap == 64_000
        assert start.begin(mine) == "cycle" and mine.heap == 64_000


def test_after_a_power_cut_an_identity_that_was_passed_is_tried_again():
    from microdps import rollover, state

    before = rollover.choose, state.known
    rollover.choose = lambda kept, say: kept
    state.known = lambda path, owner: {"passed": 1, "refused": 2, "of": owner}
    try:
        with Board():
            start = module("start")
            mine = own()
            for spread_ms, passed in ((0, 1), (5, None)):
                mine.spread_ms = spread_ms
                kept = start.choose(mine, ("dps", "0ne1", "d"))
                assert kept.get("passed") == passed and kept["refused"] == 2
                assert kept["of"] == "0ne1/d@dps"
    finally:
        rollover.choose, state.known = before
