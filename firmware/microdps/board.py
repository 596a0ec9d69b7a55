"""The board: Wi-Fi, clock, watchdog, LED. The only module that touches network, machine, esp32 and
ntptime. On a computer, which has none of them, it says so and does nothing.
"""

import time

from microdps.errors import LinkError

try:
    import machine
    import network
except ImportError:
    network = None  # type: ignore[assignment]

PRESENT = network is not None

# An access point that is near is joined within 5 s; DHCP can take some seconds more.
_JOIN_MS = 20_000

# ESP_ERR_NVS_INVALID_LENGTH (esp-idf, nvs.h).
_TOO_SHORT = -0x110C

# How often the LED blinks after an error, and how often the watchdog is fed at the REPL.
_BLINK_MS = 300
_FEED_MS = 10_000

# After a power cut, all boards of a site start in the same second.
_SPREAD_MS = 60_000


class Board:
    """The board's own parts, as config.json wants them.

    led         GPIO number of an LED, or -1: lit while working, off when done, blinking on errors
    watchdog_s  seconds, 0 for no watchdog. On an ESP32 it cannot be stopped once it is started
    """

    def __init__(self, led: int, watchdog_s: int):
        self._led = self._timer = self._watchdog = None
        self._told = False  # that there is no Wi-Fi to join
        self._clock = False  # is it set?
        if not PRESENT:
            return
        if led >= 0:
            self._led = machine.Pin(led, machine.Pin.OUT)
            self._timer = machine.Timer(0)
        if watchdog_s:
            self._watchdog = machine.WDT(timeout=watchdog_s * 1000)

    def feed(self):
        """Tell the watchdog that the program goes on."""
        if self._watchdog:
            self._watchdog.feed()

    def show(self, state: str):
        """Show "working", "done" or "error" by the LED."""
        led, timer = self._led, self._timer
        if led is None or timer is None:
            return
        timer.deinit()
        led.value(1 if state == "working" else 0)
        if state == "error":
            timer.init(
                period=_BLINK_MS,
                mode=machine.Timer.PERIODIC,
                callback=lambda timer: led.value(not led.value()),
            )

    def stop(self):
        """Leave the board to its user at the REPL: a watchdog must be fed there too."""
        if self._watchdog:
            machine.Timer(1).init(
                period=_FEED_MS,
                mode=machine.Timer.PERIODIC,
                callback=lambda timer: self._watchdog.feed(),
            )

    def sleep(self, ms: int):
        """Sleep, the watchdog fed."""
        while ms > 0:
            self.feed()
            time.sleep(min(ms, 1000) / 1000)
            ms -= 1000

    def spread(self, random):
        """Wait up to a minute if the power has just come back: not all may register at once."""
        if PRESENT and machine.reset_cause() == machine.PWRON_RESET:
            ms = random.randrange(_SPREAD_MS)
            print("power is back: waiting %d s, for all boards start now" % (ms // 1000))
            self.sleep(ms)

    def join(self, wifi: dict):
        """Join the Wi-Fi, if that is not done, and set the clock by NTP.

        Raises LinkError("wifi") if the network is not joined within 20 s, LinkError("ntp") if no
        time server answers: call again.
        """
        if not PRESENT or not wifi:
            if not self._told:
                why = "config.json names none" if PRESENT else "this machine has no network module"
                print("Wi-Fi: skipped,", why)
                self._told = True
            return
        station = network.WLAN(network.STA_IF)
        if station.isconnected():
            if not self._clock:
                self._set_clock()
            return
        print("Wi-Fi: joining", wifi["ssid"])
        station.active(False)  # a station that has given up tries again only after this
        station.active(True)
        station.connect(wifi["ssid"], wifi["password"])
        start = time.ticks_ms()
        while not station.isconnected():
            if time.ticks_diff(time.ticks_ms(), start) > _JOIN_MS:
                raise LinkError("wifi", wifi["ssid"])
            self.feed()
            time.sleep_ms(100)
        print("Wi-Fi: joined as", station.ifconfig()[0])
        self._set_clock()

    def _set_clock(self):
        import ntptime

        try:
            ntptime.settime()
        except OSError:
            raise LinkError("ntp", ntptime.host)
        self._clock = True
        print("clock: set to %s UTC" % utc())


def utc() -> str:
    """The time now → "YYYY-MM-DD HH:MM:SS"."""
    return "%d-%02d-%02d %02d:%02d:%02d" % time.gmtime()[:6]


def read_blob(name: str, limit: int):
    """A blob of the non-volatile storage → bytes, or None if it is over the limit.

    name  "nvs:NAMESPACE/KEY", the two of at most 15 characters each

    Nothing tells a blob's length, and a buffer that is too small is refused: it doubles.
    Raises OSError if there is no such blob.
    """
    from esp32 import NVS

    namespace, key = name[4:].split("/")
    storage = NVS(namespace)
    size = 512
    while size <= limit:
        buffer = bytearray(size)
        try:
            return bytes(buffer[: storage.get_blob(key, buffer)])
        except OSError as error:
            if error.args[0] != _TOO_SHORT:
                raise
        size *= 2
    return None


def idf_free() -> int:
    """Bytes free in the heap that TLS lives in, outside MicroPython's; -1 where there is none."""
    try:
        import esp32
    except ImportError:
        return -1
    return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))
