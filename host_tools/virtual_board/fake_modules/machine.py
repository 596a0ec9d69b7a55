"""Fake machine: pins and timers that print, an input of 1.25 V, a watchdog that counts, and resets
that end the process.

reset_cause() returns the environment variable RESET_CAUSE, which the virtual board sets.
"""

import os
import sys

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


def reset_cause():
    return int(os.getenv("RESET_CAUSE") or SOFT_RESET)


def reset():
    print("machine: reset")
    if os.getenv("RESET_CAUSE"):
        os.system("kill -KILL $PPID")  # noqa: S605  as at a real reset, no finally runs
    sys.exit(0)


class RTC:
    """Keeps the moment that it is given. The computer's clock stays as it is."""

    def __init__(self, id=0):
        pass

    def datetime(self, datetimetuple=None):
        if datetimetuple is not None:
            RTC.given = datetimetuple
        return RTC.given

    given = (2000, 1, 1, 5, 0, 0, 0, 0)


class Pin:
    IN = 1
    OUT = 3

    def __init__(self, id, mode=-1):
        self._id = id
        self._value = 0

    def value(self, x=None):
        if x is None:
            return self._value
        if x != self._value:
            print("machine: pin", self._id, "on" if x else "off")
        self._value = 1 if x else 0
        return None


class ADC:
    def __init__(self, pin):
        pass

    def read_uv(self):
        return 1_250_000


class Timer:
    """Keeps its callback. Only fire() runs it."""

    ONE_SHOT = 0
    PERIODIC = 1
    running: dict = {}

    def __init__(self, id):
        self._id = id

    def init(self, *, mode=PERIODIC, period=-1, callback=None):
        print("machine: timer", self._id, "every", period, "ms")
        Timer.running[self._id] = callback

    def deinit(self):
        if Timer.running.pop(self._id, None):
            print("machine: timer", self._id, "stopped")

    def fire(self):
        Timer.running[self._id](self)


class WDT:
    fed = 0

    def __init__(self, *, id=0, timeout=5000):
        print("machine: watchdog of", timeout, "ms")

    def feed(self):
        WDT.fed += 1
