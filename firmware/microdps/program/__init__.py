"""The program that main.py runs: join the network, set the clock, provision, send telemetry.

What differs from board to board is in config.json and identity/a; the data to send comes from
app.py. The same runs on a computer, where there is no Wi-Fi to join, and where the first error
ends it. A board reports an error and goes on.
"""

# How the program stood when Ctrl-C ended it, for `microdps status`: bytes that it held, size of
# the GC heap then and at the start, and milliseconds since the start.
last: dict = {}


def run() -> int:
    """For ever, until all messages are sent, or Ctrl-C → exit code: 0 done, 1 it cannot go on."""
    _compile_app()
    from microdps.errors import Error
    from microdps.program.board import PRESENT, Board

    board = Board()
    cycle = None
    try:
        while True:
            if cycle is None:
                from microdps.program.start import begin

                cycle = begin(board)
                if cycle is None:
                    return 1
            code = cycle.once()
            if code is not None:
                return code
            if cycle.ended:
                cycle.link.close()
                if PRESENT:
                    from microdps.program.ending import reset

                    reset(cycle.ended)  # with a heap that is empty again
                cycle = None
    except Error as error:  # on a computer
        print("error:", error)
        return 1
    except KeyboardInterrupt:
        from microdps.program.ending import stopped

        last.update(stopped(board, cycle))
        return 1
    finally:
        if PRESENT:
            from microdps.program.ending import at_repl

            at_repl(board)


def _compile_app():
    """While the heap is empty. What is wrong with app.py, the first cycle tells."""
    try:
        import app  # noqa: F401
    except Exception:  # noqa: S110
        pass
