"""The power is cut during flash operations. `make test-power` tries many more writes."""

import os
import re

import pytest

from helpers.programs import run_program
from microdps_tools import interpreter

WRITES = os.environ.get("POWER_WRITES", "12")


@pytest.mark.parametrize("file", ["state", "journal"])
def test_file_is_the_old_or_the_new_one_after_a_power_cut(file):
    result = run_program(interpreter.micropython("2M"), "power_cuts.py", file, WRITES)
    writes, cuts = map(int, re.fullmatch(r"(\d+) writes, (\d+) cuts", result.lines[-1]).groups())
    assert writes == int(WRITES)
    assert cuts >= 2 * writes
