"""asyncio: an LED blinks while the device sends messages.

A complete main.py. It needs config.json, with a Wi-Fi, and identity/a beside it
(firmware/README.md).
"""

import asyncio

import machine

from microdps.aio import Device
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program.board import Board
from microdps.program.config import load
from microdps.program.wifi import join
from microdps.rollover import look

settings = load("config.json")
board = Board()
board.watchdog = machine.WDT(timeout=120_000)  # ms


async def blink(led):
    while True:
        led.value(not led.value())
        board.feed()  # the device under asyncio leaves the watchdog to a task
        await asyncio.sleep_ms(250)


async def main():
    device = Device(
        Identity.from_files("identity/a"),
        id_scope=settings["id_scope"],
        registration_id=settings["registration_id"],
        host=settings["host"],
        state="state.json",
    )
    blinking = asyncio.create_task(blink(machine.Pin(2, machine.Pin.OUT)))
    count = 0
    while not blinking.done():  # it ends only by an exception
        try:
            await device.send({"count": count})
            count += 1
            print("sent", count)
        except Error as error:  # it says what to check; the next round tries again
            print("error:", error)
        await asyncio.sleep(settings["interval_s"])
    await blinking


# It blocks for up to 20 s, so it comes before the tasks. If it fails, the watchdog restarts us.
join(board, settings["wifi"], look("a"))
asyncio.run(main())
