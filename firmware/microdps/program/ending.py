"""How things end: a program's trial, a start, the program at Ctrl-C. Loaded then only."""

import errno
import os

from micropython import const

# The program in use: boot.py describes it.
_USE = const("program/use")

# How often the watchdog is fed at the REPL.
_FEED_MS = const(10_000)


def proven():
    """The program has sent a message: if it is on trial, it stays from now on."""
    try:
        with open(_USE) as file:
            use = file.read()
        if len(use) > 1:
            with open(_USE + ".new", "w") as file:
                file.write(use[0])
            os.rename(_USE + ".new", _USE)
            print("program: the one in slot %s stays in use" % use[0])
    except OSError as error:
        if error.args[0] != errno.ENOENT:  # no slots
            print("error: cannot write %s: %s" % (_USE, error))


def stopped(board, cycle) -> dict:
    """Ctrl-C has ended the program → how it stood, for `microdps status`.

    cycle  microdps.program.cycle.Cycle, or None if there was none yet
    """
    from microdps.memory import heap_size, held

    bytes_held = held()
    print("stopped")
    board.show("done")
    if cycle:
        cycle.save_errors(True)
    return {"held": bytes_held, "size": heap_size(), "first": board.heap, "up_ms": board.now()}


def at_repl(board):
    """Leave the board to its user at the REPL: a watchdog must be fed there too."""
    import machine

    if board.watchdog:
        machine.Timer(1).init(
            period=_FEED_MS,
            mode=machine.Timer.PERIODIC,
            callback=lambda timer: board.watchdog.feed(),
        )


def reset(why: str):
    """Say why, and start the board again."""
    import machine

    print("%s: the board is reset" % why)
    machine.reset()
