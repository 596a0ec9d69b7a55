"""The board's own parts that every cycle needs: watchdog, LED, time. Only this module, start.py,
ending.py, wifi.py and led.py touch network, machine and ntptime. On a computer, which has none of
them, they say so and do nothing.
"""

import gc
import time

from micropython import const

try:
    import machine
    import network  # noqa: F401  a computer has none
except ImportError:
    machine = None  # type: ignore[assignment]

PRESENT = machine is not None

# The file that keeps the assignment, and which identity is in use.
STATE = "state.json"

# The folder of the messages that wait.
OUTBOX = "outbox"

# The GC heap must not grow (microdps.memory says why). When it is full it is collected, but then
# the objects that live lie scattered between garbage, and no large block is left. So garbage is
# collected each time that so many bytes have been allocated.
_GARBAGE = const(2048)


class Board:
    """The board's own parts, as microdps.program.start sets them up.

    led, timer  machine.Pin and machine.Timer of the LED, or None
    watchdog    machine.WDT, or None
    online      a function that tells whether the Wi-Fi is joined; None: it is to be joined first
    spread_ms   to wait before the first connection; None: not decided yet
    buf         for requests and answers: made first, while there is a large block for it
    heap        bytes of the GC heap at the start; 0: not looked at yet
    clock_ms    when the clock is to be set again, by now(); 0: it was never set
    cycle       the microdps.program.cycle.Cycle, once there is one
    faults      starts in a row that ended with an exception
    present     is this a board?
    """

    heap = clock_ms = faults = 0
    present = PRESENT
    led = timer = online = spread_ms = cycle = None
    watchdog: object = None
    _now = 0

    def __init__(self):
        gc.collect()
        gc.threshold(_GARBAGE)
        self._ticks = time.ticks_ms()
        self.buf = bytearray(4096)

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
