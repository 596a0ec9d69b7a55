"""The end of a new program's trial. Loaded after the first message."""

import errno
import os

from micropython import const

# The program in use: boot.py describes it.
_USE = const("program/use")


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
