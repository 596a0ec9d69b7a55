"""The LED of a board. Loaded if it has one."""

import machine
from micropython import const

# How often it blinks after an error.
_BLINK_MS = const(300)


def show(led, timer, state: str):
    """Show "working" (lit), "done" (off) or "error" (blinking).

    led, timer  machine.Pin and machine.Timer
    """
    timer.deinit()
    led.value(1 if state == "working" else 0)
    if state == "error":
        timer.init(
            period=_BLINK_MS,
            mode=machine.Timer.PERIODIC,
            callback=lambda timer: led.value(not led.value()),
        )
