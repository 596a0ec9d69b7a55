"""The modules of a board in which anything may fail: those of tests/memory/world.py, with the
troubles of troubles.py."""

import os as real_os
import sys

import world
from troubles import EXCEPTIONS, FROM_APP, LIES, NONSENSE, REFUSALS, SILENCE, Reset, life, strike
from world import Time


class Wlan(world.Wlan):
    def active(self, on):
        strike("Wi-Fi raises")

    def connect(self, ssid, key):
        strike("Wi-Fi raises")

    def isconnected(self):
        life.now_ms += 1
        if life.trouble == "Wi-Fi raises" and life.chance(9):
            strike("Wi-Fi raises")
        return life.trouble not in ("no Wi-Fi", "Wi-Fi raises")


class Network:
    STA_IF = 0
    WLAN = Wlan


class Clock(Time):
    @staticmethod
    def ticks_ms():
        return life.now_ms & 0x3FFFFFFF

    @staticmethod
    def sleep_ms(ms):
        life.pass_time(ms)

    @staticmethod
    def time():
        return life.epoch_s + life.now_ms // 1000 + (life.skew_s if life.epoch_s else 0)

    @staticmethod
    def gmtime(s=None):
        return Time.real.gmtime(Clock.time() if s is None else s)


class Ntptime:
    host = "pool.ntp.org"

    @staticmethod
    def time():
        strike("time server raises")
        if life.trouble == "time server lies":
            return life.pick(LIES)
        return Time.EPOCH_2026_S + life.now_ms // 1000


class Rtc:
    def datetime(self, moment):
        if not 2026 <= moment[0] <= 2040:  # the roots' end
            life.wrong.append("a wrong time was believed: %d" % moment[0])
        life.epoch_s = Time.EPOCH_2026_S
        life.skew_s = 0


class Wdt:
    def __init__(self, timeout):
        life.watched = True

    def feed(self):
        life.fed_ms = life.now_ms


class Pin:
    OUT = 3

    def __init__(self, *_):
        pass

    def value(self, on):
        pass


class Timer:
    PERIODIC = 1

    def __init__(self, number):
        pass

    def init(self, **_):
        pass

    def deinit(self):
        pass


class Machine(world.Machine):
    RTC = Rtc
    WDT = Wdt
    Pin = Pin
    Timer = Timer

    @staticmethod
    def reset_cause():
        return life.reset_cause

    @staticmethod
    def reset():
        raise Reset


class SSLSocket(world.SSLSocket):
    def write(self, buffer):
        strike("TLS raises", EXCEPTIONS + (OSError(16), OSError(-0x7F00), ValueError("bad cert")))
        if abs(life.skew_s) > 86_400:
            raise ValueError("The certificate validity has expired")
        self.pending = life.respond(self.host, self.port, buffer)
        return len(buffer)

    def readinto(self, buffer):
        if self.pending is SILENCE:
            return None
        return world.SSLSocket.readinto(self, buffer)


class SSLContext(world.SSLContext):
    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        strike("TLS raises")
        return SSLSocket(server_hostname, world.Socket.port)


class Tls(world.Tls):
    SSLContext = SSLContext


class Socket(world.Socket):
    @staticmethod
    def getaddrinfo(name, port, *_):
        strike("network raises")
        world.Socket.port = port
        return [(2, 1, 0, "", b"address")]


class Poll(world.Poll):
    def poll(self, timeout):
        life.pass_time(1)
        if life.trouble in REFUSALS and timeout and life.chance(2):
            life.fed_ms = max(life.fed_ms, life.now_ms)
            life.now_ms += timeout
            return []
        return [(self.stream, 4)]


class Select(world.Select):
    poll = Poll


class Os:
    """MicroPython's os. A write to flash ends with a rename, which is counted."""

    def __getattr__(self, name):
        return getattr(real_os, name)

    def rename(self, old, new):
        life.writes[life.today()] += 1
        strike("flash is full", (OSError(28), OSError(30)))
        real_os.rename(old, new)


class App:
    @staticmethod
    def read():
        strike("app raises", FROM_APP)
        if life.trouble == "app returns nonsense":
            return life.pick(NONSENSE)
        return {"n": life.sent}


def install(random, end_ms, interval_ms):
    """Put the world into sys.modules."""
    life.begin(random, end_ms, interval_ms)
    world.world = life
    world.install()
    for name, module in (
        ("time", Clock),
        ("tls", Tls),
        ("socket", Socket),
        ("select", Select),
        ("network", Network),
        ("machine", Machine),
        ("ntptime", Ntptime),
        ("os", Os()),
        ("app", App),
    ):
        sys.modules[name] = module
