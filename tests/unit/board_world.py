"""A board for the tests of microdps.program: its modules machine, network, ntptime and time, on a
clock of their own. with Board() as board: the program's modules are loaded anew, and find them."""

import sys
import time as real_time

import microdps.program

YEAR_S = 31_536_000


class Reset(BaseException):
    """machine.reset() was called."""


class Pin:
    OUT = 3

    def __init__(self, number, mode):
        self.number = number
        self.lit = 0

    def value(self, on=None):
        if on is not None:
            self.lit = int(on)
        return self.lit


class Timer:
    PERIODIC = 1

    def __init__(self, number):
        self.number = number
        self.given = None

    def init(self, **given):
        self.given = given

    def deinit(self):
        self.given = None


class Board:
    """The board, and what the program does to it.

    joins       how many calls of isconnected() until it is joined; None: never
    raises      name of a call → the exception that it raises
    said        what the time server says, in seconds as time.time() counts
    now_ms      the clock that sleeps move; ticks are a part of it
    fed         how often the watchdog was fed
    calls       (name, arguments) of the calls of the Wi-Fi and the clock
    """

    PROGRAM = ("board", "cycle", "start", "trouble", "ending", "journal", "wifi", "led", "trial")
    PROGRAM += ("waiting",)

    def __init__(self, cause=2):
        self.joins = 3
        self.raises = {}
        self.said = int(real_time.time())
        self.now_ms = 0
        self.fed = 0
        self.calls = []
        self.cause = cause
        self.modules = {
            "machine": Machine(self),
            "network": Network(self),
            "ntptime": Ntptime(self),
            "time": Clock(self),
        }

    def __enter__(self):
        self.before = dict(sys.modules)
        sys.modules.update(self.modules)
        for name in self.PROGRAM:
            sys.modules.pop("microdps.program." + name, None)
            if hasattr(microdps.program, name):
                delattr(microdps.program, name)
        return self

    def __exit__(self, *_):
        """The modules are those of before again: a cycle lets some go, and loads them anew."""
        for name in list(sys.modules):
            if name in self.modules or name.startswith("microdps."):
                del sys.modules[name]
        for name, module in self.before.items():
            if name in self.modules or name.startswith("microdps."):
                sys.modules[name] = module
        for name, module in self.before.items():
            parent, _, child = name.rpartition(".")
            if name.startswith("microdps."):
                setattr(sys.modules[parent], child, module)

    def call(self, name, *arguments):
        self.calls.append((name,) + arguments)
        if name in self.raises:
            raise self.raises[name]

    def made(self, name):
        """The arguments of all calls of a name."""
        return [call[1:] for call in self.calls if call[0] == name]


class Machine:
    PWRON_RESET = 1
    HARD_RESET = 2
    Pin = Pin
    Timer = Timer

    def __init__(self, board):
        self.board = board

        class WDT:
            def __init__(self, timeout):
                board.call("WDT", timeout)

            def feed(self):
                board.fed += 1

        class RTC:
            def datetime(self, moment):
                board.call("datetime", moment)

        self.WDT = WDT
        self.RTC = RTC

    def reset_cause(self):
        return self.board.cause

    def reset(self):
        raise Reset


class Network:
    STA_IF = 0

    def __init__(self, board):
        self.board = board

    def WLAN(self, interface):  # noqa: N802  as network spells it
        return self

    def active(self, on):
        self.board.call("active", on)

    def connect(self, ssid, password):
        self.board.call("connect", ssid, password)

    def isconnected(self):
        if self.board.joins:
            self.board.joins -= 1
        return self.board.joins == 0

    def ifconfig(self):
        self.board.call("ifconfig")
        return ("192.0.2.2", "255.255.255.0", "192.0.2.1", "192.0.2.1")


class Ntptime:
    host = "pool.ntp.org"

    def __init__(self, board):
        self.board = board

    def time(self):
        self.board.call("ntp")
        return self.board.said


class Clock:
    """MicroPython's time, in 30 bits of ticks."""

    def __init__(self, board):
        self.board = board

    def ticks_ms(self):
        return self.board.now_ms & 0x3FFFFFFF

    def ticks_add(self, ticks, ms):
        return (ticks + ms) & 0x3FFFFFFF

    def ticks_diff(self, end, start):
        return ((end - start + 0x20000000) & 0x3FFFFFFF) - 0x20000000

    def sleep_ms(self, ms):
        assert 0 <= ms <= 1000  # else the watchdog is not fed
        self.board.now_ms += ms

    def time(self):
        return self.board.said + self.board.now_ms // 1000

    def gmtime(self, moment=None):
        return real_time.gmtime(self.time() if moment is None else moment)
