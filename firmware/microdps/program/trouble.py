"""What follows an exception that has ended a cycle. Loaded when there is one."""

import sys

from micropython import const

from microdps.errors import Error
from microdps.program.board import PRESENT, STATE
from microdps.program.journal import add, entry

# Exceptions in a row, and failures for want of memory in a row, after which a board is reset.
_FAULTS = const(10)
_NO_MEMORY = const(3)


def report(cycle, error):
    """Note an exception in the journal, show it, and reset the board if that is due.

    On a computer the first error of the package ends the program: it is raised again.
    """
    board = cycle.board
    add(cycle.errors, entry(error))
    board.show("error")
    trial = cycle.choice["trial"]
    if trial:
        from microdps import rollover, state

        owner = state.owner(*cycle.session.owner)
        if rollover.failed(cycle.choice, error, STATE, owner):
            cycle.ended = "the old certificate goes on"
    if isinstance(error, Error):
        if not PRESENT and not trial:
            cycle.save_errors(True)
            raise error
        print("error:", error)
    else:
        cycle.faults += 1
        print("error: app.py: %r" % error)
        sys.print_exception(error)
    if isinstance(error, MemoryError) or error.args[:1] == ("memory",):
        cycle.no_memory += 1
    why = ""
    if cycle.no_memory >= _NO_MEMORY:
        why = "no memory, %d times in a row" % _NO_MEMORY
    elif cycle.faults >= _FAULTS:
        why = "%d cycles in a row have failed" % _FAULTS
    if why and PRESENT:
        from microdps.program.ending import reset

        reset(why)
