"""Joining the Wi-Fi, and setting the clock. Loaded when that is due."""

import time

import machine
import network
import ntptime
from micropython import const

from microdps.errors import LinkError
from microdps.program.journal import utc

# An access point that is near is joined within 5 s; DHCP can take some seconds more.
_JOIN_MS = const(20_000)

# How often the clock is set, and when it is tried again if no time server answers.
_DAY_MS = const(86_400_000)
_HOUR_MS = const(3_600_000)


def join(board, wifi: dict, choice: dict):
    """Join the Wi-Fi, if that is not done, and set the clock by NTP, if that is due.

    board   microdps.program.board.Board, whose online and clock_ms are set then
    wifi    {"ssid": …, "password": …}
    choice  the identity in use, as microdps.rollover.look() describes it

    Raises LinkError("wifi") if the network is not joined within 20 s, LinkError("ntp") if no
    time server gives a time that can be right: call again. A clock that was set once may go on.
    """
    station = network.WLAN(network.STA_IF)
    if not station.isconnected():
        board.online = None
        print("Wi-Fi: joining", wifi["ssid"])
        station.active(False)  # a station that has given up tries again only after this
        station.active(True)
        station.connect(wifi["ssid"], wifi["password"])
        start = time.ticks_ms()
        while not station.isconnected():
            if time.ticks_diff(time.ticks_ms(), start) > _JOIN_MS:
                raise LinkError("wifi", wifi["ssid"])
            board.feed()
            time.sleep_ms(100)
        print("Wi-Fi: joined as", station.ifconfig()[0])
    if board.now() >= board.clock_ms:
        try:
            set_clock(choice["valid"], choice["until"])
            board.clock_ms = board.now() + _DAY_MS
        except LinkError as error:
            if not board.clock_ms:
                raise
            print("error:", error)
            board.clock_ms = board.now() + _HOUR_MS
    board.online = station.isconnected


def set_clock(first_s: int, last_s: int):
    """Set the clock by NTP. A time before first_s or after last_s, as time.time() counts, is not
    believed: the device's certificate was made later, or its roots expire before.

    Raises LinkError("ntp").
    """
    try:
        now = ntptime.time()
    except MemoryError:
        raise
    except Exception as error:  # besides OSError what a wrong answer leads to
        raise LinkError("ntp", "%s: %r" % (ntptime.host, error))
    year, month, day, hour, minute, second, weekday = time.gmtime(now)[:7]
    if not first_s <= now <= last_s:
        raise LinkError("ntp", "%s says %d-%02d-%02d" % (ntptime.host, year, month, day))
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
    print("clock: set to %s UTC" % utc())
