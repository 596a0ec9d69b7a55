"""From config.json and the identity to the cycle. Loaded for the start, and let go then."""

import os
import random

from micropython import const

from microdps.errors import Error
from microdps.memory import heap_size
from microdps.program.board import OUTBOX, PRESENT, STATE
from microdps.program.cycle import Cycle, let_go

# For each request, and for each registration with all its polls.
_TIMEOUT_MS = const(30_000)

# How often a configuration or an identity that cannot work is looked at again.
_AGAIN_MS = const(60_000)

# After a power cut, all boards of a site start in the same second.
_SPREAD_MS = const(60_000)


def begin(board):
    """The cycle that config.json and the identity describe → microdps.program.cycle.Cycle.

    While they cannot work, that is said each minute, and they are looked at again. On a computer
    it is said once → None.
    """
    board.heap = board.heap or heap_size()
    while True:
        try:
            return start(board)
        except Error as error:
            print("error:", error)
            board.show("error")
        if not PRESENT:
            return None
        board.sleep(_AGAIN_MS)


def start(board) -> Cycle:
    """Read the configuration and the identity → the cycle that sends messages with them.

    Raises ConfigError or IdentityError if they cannot work.
    """
    from microdps.program import config
    from microdps.rollover import place

    settings = config.load(place() + "config.json", print)
    del config, place
    if not PRESENT or not settings["wifi"]:
        why = "config.json names none" if PRESENT else "this machine has no network module"
        print("Wi-Fi: skipped,", why)
        settings["wifi"] = None
    if not PRESENT and settings["outbox"] == "on-failure":
        settings["outbox"] = "never"  # the first error ends the program
    if PRESENT:
        configure(board, settings["led"], settings["watchdog_s"])
        if settings["wifi"]:
            set_time_server(settings["ntp"])
    let_go()
    owner = settings["host"], settings["id_scope"], settings["registration_id"]
    choice = choose(board, owner)
    let_go()
    link = make_link(board, choice["slot"])
    let_go()
    session = make_session(board, settings, owner)
    if not choice["trial"]:  # else the state of the old identity must not be lost
        from microdps.state import restore

        restore(STATE, session)
        del restore
        let_go()
    cycle = Cycle(board, settings, choice, session, link)
    if settings["outbox"] != "never":
        use_outbox(cycle, settings)
    return cycle


def use_outbox(cycle, settings: dict):
    """Let a cycle keep readings. Those that were kept before are delivered."""
    cycle.outbox = settings["outbox"], settings["outbox_kb"], settings["outbox_keep"]
    try:
        os.stat(OUTBOX)
        cycle.backlog = True
    except OSError:
        pass  # nothing was ever kept


def set_time_server(host: str):
    import ntptime

    ntptime.host = host


def choose(board, owner):
    """Which identity to use, as microdps.rollover.look() describes it."""
    from microdps import rollover, state

    kept = state.known(STATE, state.owner(*owner))
    if board.spread_ms:  # the power was off: what has failed then is tried again
        kept.pop("passed", None)
    return rollover.choose(kept, print)


def make_link(board, slot: str):
    """The microdps.driver.link.Link with the identity of a slot."""
    from microdps.driver.link import Link
    from microdps.rollover import load

    return Link(load(slot), board.feed)


def make_session(board, settings: dict, owner):
    """The microdps.session.Session, which knows nothing yet."""
    from microdps.session import Session

    log = print
    if settings["log"] != "info":
        from microdps.program.quiet import log  # type: ignore[assignment]
    return Session(owner, _TIMEOUT_MS, settings["transport"], log, board.buf)


def configure(board, led: int, watchdog_s: int):
    """Set up what a microdps.program.board.Board has.

    led         GPIO number of an LED, or -1: lit while working, off when done, blinking on errors
    watchdog_s  seconds, 0 for no watchdog. On an ESP32 it cannot be stopped once it is started
    """
    import machine

    if led >= 0 and not board.led:
        board.led = machine.Pin(led, machine.Pin.OUT)
        board.timer = machine.Timer(0)
    if watchdog_s:
        board.watchdog = machine.WDT(timeout=watchdog_s * 1000)
    if board.spread_ms is None:
        board.spread_ms = 0
        if machine.reset_cause() == machine.PWRON_RESET:
            board.spread_ms = random.randrange(1, _SPREAD_MS)  # noqa: S311
