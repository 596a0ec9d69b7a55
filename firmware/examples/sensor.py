"""A sensor that sends: Wi-Fi, clock, watchdog, and a message each minute.

A complete main.py. It needs config.json, with a Wi-Fi, and identity/a beside it
(firmware/README.md).
"""

import machine

from microdps.device import Device
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program.board import Board
from microdps.program.config import load
from microdps.program.wifi import join
from microdps.rollover import look

settings = load("config.json")
sensor = machine.ADC(machine.Pin(34))
board = Board()
board.watchdog = machine.WDT(timeout=120_000)  # ms
device = Device(
    Identity.from_files("identity/a"),
    id_scope=settings["id_scope"],
    registration_id=settings["registration_id"],
    host=settings["host"],
    state="state.json",
    log=print,
    feed=board.feed,
)

while True:
    try:
        if not (board.online and board.online()):
            join(board, settings["wifi"], look("a"))  # and set the clock
        device.send({"voltage": sensor.read_uv() / 1_000_000})
    except Error as error:  # it says what to check; the next round tries again
        print("error:", error)
    board.sleep(int(settings["interval_s"] * 1000))
