"""What follows an exception that has ended a cycle. Loaded when there is one."""

from micropython import const

from microdps.errors import Error, ServiceError
from microdps.program.board import PRESENT, STATE

# Exceptions in a row, and failures for want of memory in a row, after which a board is reset.
_FAULTS = const(10)
_NO_MEMORY = const(3)

# The wait after exceptions in a row doubles with each, from 1 s; that after failures for want of
# memory is 4 s, then 512 s. So a board resets itself 170 times a day at most, and each time writes
# its journal once.
_WAIT_MS = const(500)
_MEMORY_WAITS = const((0, 3, 10))


def report(cycle, error) -> int:
    """Note an exception in the journal, show it, and reset the board if that is due → when the
    next cycle may begin, by the board's now().

    On a computer the first error of the package ends the program, and so does an app that exits:
    it is raised again.
    """
    if not PRESENT and not isinstance(error, Exception):
        raise error
    board = cycle.board
    made = note(cycle, error)
    board.show("error")
    trial = cycle.choice["trial"]
    if trial:
        from microdps import rollover, state

        owner = state.owner(*cycle.session.owner)
        if rollover.failed(cycle.choice, error, STATE, owner):
            cycle.ended = "the old certificate goes on"
        del rollover, state
        cycle.tidy()
    if isinstance(error, Error):
        if not PRESENT and not trial:
            cycle.save_errors(True)
            raise error
        cycle.why = made["code"]
        print("error:", error)
        if error.args[0] in ("server-certificate", "clock"):
            board.clock_ms = min(board.clock_ms, board.now())  # is the clock right?
    else:
        cycle.faults += 1
    cycle.tidy()
    save(cycle, error)
    if isinstance(error, MemoryError) or error.args[:1] == ("memory",):
        cycle.no_memory += 1
    if PRESENT:
        _reset_if_due(cycle)
    shift = max(cycle.faults, _MEMORY_WAITS[min(cycle.no_memory, 2)])
    return board.now() + (_WAIT_MS << min(shift, 10) if shift else 0)


def save(cycle, error):
    """Keep the reading that was being sent in the outbox, unless it is at fault itself."""
    kept, cycle.data = cycle.data, None
    if kept is None or isinstance(error, (ValueError, TypeError)):
        return
    if isinstance(error, ServiceError) and error.args[1] == cycle.session.hub:
        from microdps.backoff import FINAL, hub_step

        if hub_step(error) == FINAL:
            return
        del FINAL, hub_step
        cycle.tidy()
    from microdps.program.waiting import keep

    keep(cycle, *kept)
    del keep
    cycle.tidy()


def note(cycle, error) -> dict:
    """Put an exception into the journal → its entry. One that is no Error is printed, too: the
    sentence of an Error needs the memory that the journal takes."""
    from microdps.program.journal import add, entry, tell

    made = entry(error)
    add(cycle.errors, made)
    if not isinstance(error, Error):
        tell(error, made)
    del add, entry, tell
    cycle.tidy()
    return made


def _reset_if_due(cycle):
    why = ""
    if cycle.no_memory >= _NO_MEMORY:
        why = "no memory, %d times in a row" % _NO_MEMORY
    elif cycle.faults >= _FAULTS:
        why = "%d cycles in a row have failed" % _FAULTS
    if why:
        from microdps.program.ending import reset

        cycle.save_errors()
        reset(why)
