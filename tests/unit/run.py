"""Runs the tests of this folder on MicroPython, from the checkout: micropython tests/unit/run.py.

Prints a line for each test, and exits with 1 if one failed or none ran.
"""

import gc
import os
import random
import sys

FOLDER = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
sys.path[:0] = [FOLDER + "/../../firmware", FOLDER]


class Os:
    """WebAssembly builds have no source of random bytes; boards do."""

    def __getattr__(self, name):
        return getattr(os, name)

    def urandom(self, n):
        return bytes([random.getrandbits(8) for _ in range(n)])


if not hasattr(os, "urandom"):
    sys.modules["os"] = Os()


def main():
    from harness import Skip

    passed = failed = skipped = 0
    for file in sorted(os.listdir(FOLDER)):
        if not file.startswith("test_") or not file.endswith(".py"):
            continue
        name = file[:-3]
        module = __import__(name)
        for test in sorted(dir(module)):
            if not test.startswith("test_"):
                continue
            try:
                getattr(module, test)()
            except Skip as reason:
                print("SKIPPED %s::%s: %s" % (name, test, reason))
                skipped += 1
            except Exception as error:
                sys.print_exception(error)
                print("FAILED %s::%s" % (name, test))
                failed += 1
            else:
                print("PASSED %s::%s" % (name, test))
                passed += 1
        # The heap is small, and the next file needs its own room.
        del module, sys.modules[name]
        gc.collect()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 0 if passed and not failed else 1


sys.exit(main())
