"""All unit tests of the device package also run on MicroPython, from the same files."""

import re
import subprocess
import sys

from microdps_tools import CHECKOUT, interpreter

# More than a board's heap, because of the tests' tables. test_figures.py measures the package.
HEAP = "1M"


def test_the_same_unit_tests_pass_on_both_interpreters():
    command = [*interpreter.micropython(HEAP).command, "tests/unit/run.py"]
    micropython = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300
    )
    print(micropython.stdout)
    assert micropython.returncode == 0, micropython.stdout + micropython.stderr
    there = set(re.findall(r"^PASSED (\w+::\w+)$", micropython.stdout, re.MULTILINE))

    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/unit"]
    cpython = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    print(cpython.stdout)
    assert cpython.returncode == 0, cpython.stdout
    here = set(re.findall(r"^tests/unit/(\w+)\.py(::\w+) PASSED", cpython.stdout, re.MULTILINE))

    skipped = set(re.findall(r"^SKIPPED (\w+::\w+): .+$", micropython.stdout, re.MULTILINE))
    assert there and len(skipped) < 3
    assert there | skipped == {file + test for file, test in here}
