"""A board under random trouble on a virtual clock (tests/field/year.py): it sends in every
interval in which it can, costs no more than it may, and never ends. `make test-year` runs a year.
"""

import json
import os
import subprocess

import pytest
from memory.guard import lay

from microdps_tools import CHECKOUT, interpreter

# The program's own modules are loaded once more for each reset, and littered by exceptions.
HEAP = "600k"
TIMEOUT_S = 1800

# Seed, days, seconds between two messages, transport.
LIVES = [(1, 20, 600, "auto"), (2, 10, 600, "mqtt"), (3, 1, 10, "auto")]
if "YEAR_SEED" in os.environ:
    LIVES = [(int(os.environ["YEAR_SEED"]), 365, 600, how) for how in ("auto", "mqtt")]


def live(folder, life) -> subprocess.CompletedProcess:
    program = CHECKOUT / "tests" / "field" / "year.py"
    command = [*interpreter.micropython(HEAP).command, program, folder, *map(str, life)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: "-".join(map(str, life)))
def test_board_sends_whenever_it_can_and_never_ends(tmp_path, life):
    lay(tmp_path)
    done = live(tmp_path, life)
    last = (done.stdout + done.stderr).splitlines()[-20:]
    assert done.returncode == 0, "\n".join(last)
    print("\n".join(last[-4:]))


def test_program_that_ends_is_noticed(tmp_path):
    lay(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"messages": 5}))
    done = live(tmp_path, (1, 2, 600, "auto"))
    assert "AssertionError: the program has ended" in done.stdout


def test_interval_without_a_message_is_noticed(tmp_path):
    """The program waits twice as long as the interval that it was given."""
    lay(tmp_path)
    program = CHECKOUT / "tests" / "field" / "year.py"
    slow = tmp_path / "slow.py"
    text = program.read_text().replace('"interval_s": INTERVAL_S', '"interval_s": 2 * INTERVAL_S')
    slow.write_text(text.replace('__file__.rsplit("/", 1)[0]', repr(str(program.parent))))
    command = [*interpreter.micropython(HEAP).command, slow, tmp_path, "1", "9", "600", "auto"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert "s without a message" in done.stdout
