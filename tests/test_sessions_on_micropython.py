"""The random sessions of tests/unit/test_sessions.py on MicroPython, in a number of one's own:
`make test-sessions` runs many. A few are played with the other unit tests."""

import os
import subprocess

import pytest

from microdps_tools import CHECKOUT, FIRMWARE, interpreter

# So many in one interpreter, which takes some minutes.
PART = 1000

CODE = """
import sys
sys.path[:0] = [{firmware!r}, {unit!r}]
import test_sessions
test_sessions.test_nothing_but_an_error_of_ours_leaves_a_session()
print("played")
"""


@pytest.mark.parametrize("first", range(0, int(os.environ.get("SESSIONS") or PART), PART))
def test_sessions(first):
    count = min(PART, int(os.environ.get("SESSIONS") or 200))
    code = CODE.format(firmware=str(FIRMWARE), unit=str(CHECKOUT / "tests" / "unit"))
    command = [*interpreter.micropython("600k").command, "-c", code]
    numbers = {"SESSIONS": str(count), "FIRST_SESSION": str(first)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1800, env={**os.environ, **numbers}
    )
    assert done.stdout == "played\n", done.stdout[-1000:] + done.stderr[-1000:]
