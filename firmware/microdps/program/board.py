"""The board's own parts that every cycle needs: watchdog, LED, time. This module, start.py, stop.py,
wifi.py, clock.py and sleep.py are the only ones that touch network, machine and ntptime. On a
computer, which has none of them, they say so and do nothing.
"""

import time

try:
    import machine
    import network  # noqa: F401  a computer has none
except ImportError:
    machine = None  # type: ignore[assignment]

PRESENT = machine is not None


class Board:
    """The board's own parts, as microdps.program.start sets them up.

    led, timer  machine.Pin and machine.Timer of the LED, or None
    watchdog    machine.WDT, or None
    online      a function that tells whether the Wi-Fi is joined; None: it is to be joined first
    spread_ms   to wait before the first connection; None: not decided yet
    heap        bytes of the GC heap at the start; 0: not looked at yet
    given_up    mark (microdps.rollover.look()) of an identity that is not tried again in this run
    """

    heap = 0
    led = timer = watchdog = online = spread_ms = given_up = None
    _now = 0

    def __init__(self):
        self._ticks = time.ticks_ms()

    def feed(self):
        """Tell the watchdog that the program goes on."""
        if self.watchdog:
            self.watchdog.feed()

    def show(self, state: str):
        """Show "working", "done" or "error" by the LED, if there is one."""
        if self.led:
            from microdps.program.led import show

            show(self.led, self.timer, state)

    def now(self) -> int:
        """Milliseconds since the start. Goes by ticks, so no clock that is set disturbs it; asked
        at least every six days, it does not wrap."""
        ticks = time.ticks_ms()
        self._now += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now

    def sleep(self, ms: int):
        """Sleep, the watchdog fed."""
        end = self.now() + ms
        while ms > 0:
            self.feed()
            time.sleep_ms(min(ms, 1000))
            ms = end - self.now()


def utc() -> str:
    """The time now → "YYYY-MM-DD HH:MM:SS"."""
    return "%d-%02d-%02d %02d:%02d:%02d" % tuple(time.gmtime()[:6])
