"""How the program ends: by Ctrl-C, by a reset, by an exception. Loaded then only."""

from micropython import const

from microdps.errors import Error

# Exceptions in a row after which a board is reset, and the wait after each.
_FAULTS = const(10)
_AGAIN_MS = const(60_000)

# How often the watchdog is fed at the REPL.
_FEED_MS = const(10_000)


def stopped(board) -> dict:
    """Ctrl-C has ended the program → how it stood, for `microdps status`."""
    from microdps.memory import heap_size, held

    last = {"held": held(), "size": heap_size(), "first": board.heap, "up_ms": board.now()}
    print("stopped")
    board.show("done")
    cycle = board.cycle
    if cycle:
        from microdps.backoff import left_ms

        last["wait_ms"] = left_ms(cycle.session, cycle.link.now())
        last["why"] = cycle.why
        last["lost"] = cycle.lost
        cycle.save_errors(True)
        if cycle.data is not None:
            from microdps.program.waiting import keep

            keep(cycle, *cycle.data)
    return last


def fault(board, error):
    """An exception outside of a cycle: a driver's while the program starts, or our own fault.

    A board says it, keeps it, waits a minute, and begins again → None; after ten in a row it is
    reset. A computer's program ends → exit code.
    """
    if isinstance(error, Error) and not board.present:
        print("error:", error)
        return 1
    if not board.present:
        raise error
    from microdps.program import journal

    made = journal.entry(error)
    journal.tell(error, made)
    board.faults += 1
    if board.faults == 1:
        journal.save("errors.json", [made])
    board.show("error")
    if board.faults == _FAULTS:
        reset("the program has failed %d times in a row" % _FAULTS)
    board.sleep(_AGAIN_MS)
    return None


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
