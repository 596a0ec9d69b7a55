"""Runs after boot.py: starts the program, microdps/program.py.

A program that is new on the board and has sent nothing yet is on trial. Its starts are counted,
and one that fails is started again, until boot.py goes back to the program before it.
"""

import os
import sys
import time

_USE = "program/use"  # boot.py describes it

# Time to interrupt a board that starts again and again.
_PAUSE_S = 2


def count() -> bool:
    """Is the program on trial? Its start is counted."""
    try:
        with open(_USE) as file:
            use = file.read()
        if len(use) != 3:
            return False
        with open(_USE + ".new", "w") as file:
            file.write(use[0] + str(max(0, int(use[1]) - 1)) + use[2])
        os.rename(_USE + ".new", _USE)
        return True
    except (OSError, ValueError):
        return False


def start():
    on_trial = count()
    try:
        from microdps import board, program

        code = program.run()
    except Exception as error:
        if not on_trial:
            raise
        import machine

        sys.print_exception(error)
        print("error: the new program failed: starting again in %d s" % _PAUSE_S)
        time.sleep(_PAUSE_S)
        machine.reset()
    if not board.PRESENT:
        sys.exit(code)  # on a board that would restart it, and register again and again


start()
