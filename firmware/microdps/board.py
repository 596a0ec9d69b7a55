"""The board: Wi-Fi and clock. The only module that touches network and ntptime.

On a computer, which has neither, it says so and does nothing.
"""

import time

from microdps.errors import LinkError

try:
    import network
except ImportError:
    network = None  # type: ignore[assignment]

PRESENT = network is not None

# A board whose access point is near joins within 5 s; DHCP can take some seconds more.
_JOIN_MS = 20_000


def join(wifi: dict):
    """Join the Wi-Fi and set the clock by NTP; says so where there is none to join.

    Raises LinkError("wifi") if the network is not joined within 20 s, LinkError("ntp") if no time
    server answers.
    """
    if network is None:
        print("Wi-Fi: skipped, this machine has no network module")
        return
    if not wifi:
        print("Wi-Fi: skipped, config.json names none")
        return
    import ntptime

    station = network.WLAN(network.STA_IF)
    station.active(True)
    if not station.isconnected():
        print("Wi-Fi: joining", wifi["ssid"])
        station.connect(wifi["ssid"], wifi["password"])
        start = time.ticks_ms()
        while not station.isconnected():
            if time.ticks_diff(time.ticks_ms(), start) > _JOIN_MS:
                raise LinkError("wifi", wifi["ssid"])
            time.sleep_ms(100)
    print("Wi-Fi: joined as", station.ifconfig()[0])
    try:
        ntptime.settime()
    except OSError:
        raise LinkError("ntp", ntptime.host)
    print("clock: set to %d-%02d-%02d %02d:%02d:%02d UTC" % time.gmtime()[:6])
