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
    from microdps.program.board import Board

    board = Board()
    code = None
    try:
        while code is None:
            try:
                code = _live(board)
            except Exception as error:  # a driver's, or our own fault: no reason to stop
                from microdps.program.ending import fault

                code = fault(board, error)
    except KeyboardInterrupt:
        from microdps.program.ending import stopped

        last.update(stopped(board))
        code = 1
    if board.present:
        from microdps.program.ending import at_repl

        at_repl(board)
    return code


def _live(board):
    """From the configuration to the cycles → exit code; None if the program is to begin again."""
    from microdps.program.start import begin

    board.cycle = cycle = begin(board)
    del begin
    if cycle is None:
        return 1
    while not cycle.ended:
        code = cycle.once()
        if code is not None:
            return code
        board.faults = 0
    cycle.link.close()
    if board.present:
        from microdps.program.ending import reset

        reset(cycle.ended)  # with a heap that is empty again
    return None


def _compile_app():
    """While the heap is empty. What is wrong with app.py, the first cycle tells; on a computer, an
    app may end the program."""
    try:
        import app  # noqa: F401
    except BaseException as error:
        if not isinstance(error, Exception):
            from microdps.program.board import PRESENT

            if not PRESENT or isinstance(error, KeyboardInterrupt):
                raise
