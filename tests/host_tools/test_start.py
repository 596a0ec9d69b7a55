"""The command starts at once: it loads what its verb needs, and nothing for its help."""

import os
import subprocess
import sys

import pytest

from microdps_tools.__main__ import VERBS
from microdps_tools.certs.defaults import KEY_NAMES
from microdps_tools.certs.keys import KEY_TYPES
from microdps_tools.virtual_board import flash_file
from microdps_tools.virtual_board.verbs import BLOCK

MODULE = (sys.executable, "-m", "microdps_tools")
PATHS = [(), *((verb,) for verb in VERBS)]
TIMEOUT_S = 30

HEAVY = {
    "cryptography",
    "rich",
    "requests",
    "twisted",
    "esptool",
    "mpremote",
    "littlefs",
    "serial",
}
LOADED = "import sys; from microdps_tools.__main__ import main\ntry: main({!r})\n"
LOADED += "except SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_loads_no_library(path):
    code = LOADED.format([*path, "--help"])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "argparse" in loaded
    assert not loaded & HEAVY


def test_constants_of_the_command_line_are_those_of_the_rooms():
    assert tuple(KEY_TYPES) == KEY_NAMES
    assert BLOCK == flash_file.BLOCK


def fastest(words: list[str]) -> float:
    """The least time of the processor that a command takes, of five tries, in seconds."""
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        times.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return min(times)


@pytest.mark.parametrize("path", [(), *sorted({path[:1] for path in PATHS if path})], ids=" ".join)
def test_help_appears_at_once(path):
    """In at most ten times the time of Python itself."""
    least = fastest([sys.executable, "-c", "pass"])
    assert fastest([*MODULE, *path, "--help"]) <= 10 * max(least, 0.01)


COMPLETE = """
import os, sys
os.dup2(1, 8)
os.dup2(2, 9)
from microdps_tools.__main__ import main
main([])
"""


@pytest.mark.parametrize(
    ("line", "expected"), [("microdps fla", "flash"), ("microdps check --bo", "--board")]
)
def test_completion_of_verbs_and_options(line, expected):
    """The shell asks as argcomplete documents it, and reads the answer from descriptor 8."""
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    asked |= {"_ARGCOMPLETE_IFS": "|", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        env={**os.environ, **asked},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.stdout.strip().split("|") == [expected], done.stderr
