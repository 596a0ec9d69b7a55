"""Runs before main.py: keeps the vendor's debug output off the serial line, where the log is, and
puts the program in use on the path.

`microdps deploy` puts programs into the slots /program/a and /program/b. /program/use names the
one in use, "a"; or, while that has sent no message yet, "b3a": slot b, the starts it has left
(main.py counts them), and where to go back to, "." for a program that lies in no slot. Without
these files, and on any doubt, the program on the path runs.
"""

import os
import sys

_USE = "/program/use"


def choose():
    """Put the slot in use on the path. Raises OSError if there is none."""
    with open(_USE) as file:
        use = file.read(3)
    if use[1:2] == "0" and len(use) == 3:
        print("error: the program in slot %s sent no message: back to %s" % (use[0], use[2]))
        use = use[2]
        try:
            with open(_USE + ".new", "w") as file:
                file.write(use)
            os.rename(_USE + ".new", _USE)
        except OSError as error:
            print("error: cannot write %s: %s" % (_USE, error))
    for slot in use[:1] + "ab":
        if slot == ".":
            return
        try:
            os.stat("/program/" + slot + "/manifest")  # the last file of a whole program
        except OSError:
            continue
        sys.path.insert(0, "/program/" + slot)
        return


try:
    import esp
except ImportError:  # no ESP32
    pass
else:
    esp.osdebug(None)

try:
    choose()
except OSError:  # no slots
    pass
except Exception as error:
    print("error: boot.py: %r" % error)
del choose  # what is defined here stays in memory while the program runs
