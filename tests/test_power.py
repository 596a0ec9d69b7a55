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


def test_outbox_loses_nothing_after_a_power_cut():
    """And it erases a block for a message, as littlefs does for each durable append."""
    messages = int(os.environ.get("POWER_MESSAGES", "100"))
    result = run_program(interpreter.micropython("8M"), "outbox_power_cuts.py", str(messages))
    done, cuts = map(int, re.fullmatch(r"(\d+) messages, (\d+) cuts", result.lines[-2]).groups())
    assert done == messages
    assert cuts >= 7 * messages
    erased = [int(number) for number in re.findall(r"\d+", result.lines[-1])]
    assert len(erased) == 2
    assert all(number <= 1.15 * messages for number in erased)
