"""Runs after boot.py: starts the program, microdps/program.

A program that is new on the board and has sent nothing yet is on trial. Its starts are counted,
until boot.py goes back to the program before it. Names that are defined here stay in memory while
the program runs, so they are deleted.
"""


def count():
    """Is the program on trial (boot.py describes the file)? Its start is counted."""
    import os

    path = "program/use"
    try:
        with open(path) as file:
            use = file.read()
        if len(use) != 3:
            return False
        with open(path + ".new", "w") as file:
            file.write(use[0] + str(max(0, int(use[1]) - 1)) + use[2])
        os.rename(path + ".new", path)
        return True
    except (OSError, ValueError):
        return False


trial = count()
del count
try:
    from microdps import program

    code = program.run()
except Exception as error:
    import sys
    import time

    try:
        import machine
    except ImportError:  # a computer
        raise error
    # The program reports what it meets and goes on, so this is a program that cannot even do that.
    sys.print_exception(error)
    pause = 2 if trial else 60  # to interrupt a board that starts again and again
    print("error: the program failed: starting again in %d s" % pause)
    time.sleep(pause)
    machine.reset()
try:
    import network  # noqa: F401
except ImportError:  # a computer; a board would be restarted by it, and register again
    import sys

    sys.exit(code)
