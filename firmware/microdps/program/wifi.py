"""Joining the Wi-Fi, and setting the clock. Loaded when that is due."""

import time

import network
import ntptime
from micropython import const

from microdps.errors import LinkError
from microdps.program.journal import utc

# An access point that is near is joined within 5 s; DHCP can take some seconds more.
_JOIN_MS = const(20_000)


def join(board, wifi: dict):
    """Join the Wi-Fi, if that is not done, and set the clock by NTP.

    board  microdps.program.board.Board, whose online is set then
    wifi   {"ssid": …, "password": …}

    Raises LinkError("wifi") if the network is not joined within 20 s, LinkError("ntp") if no
    time server answers: call again.
    """
    station = network.WLAN(network.STA_IF)
    if not station.isconnected():
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
    if not board.online:
        set_clock()
        board.online = station.isconnected


def set_clock():
    """Set the clock by NTP. Raises LinkError("ntp") if no time server answers."""
    try:
        ntptime.settime()
    except OSError:
        raise LinkError("ntp", ntptime.host)
    print("clock: set to %s UTC" % utc())
