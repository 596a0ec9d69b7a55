"""A board's life under trouble, on a virtual clock: drivers that raise, a time server that lies,
Wi-Fi that goes, peers that misbehave, flash that is full, an app that fails, power cuts.

    micropython year.py FOLDER SEED DAYS INTERVAL_S TRANSPORT

FOLDER is a board's file system, as tests/memory/guard.py lays it. Troubles come one after the
other, with quiet times between them. The program must never end, must feed its watchdog, and must
send in every interval of a quiet time. At the end it prints what the life cost.
"""

import json
import os
import random
import sys

FOLDER, TRANSPORT = sys.argv[1], sys.argv[5]
SEED, DAYS, INTERVAL_S = [int(number) for number in sys.argv[2:5]]
HERE = __file__.rsplit("/", 1)[0]
sys.path[:] = ["program/a", "", HERE + "/../memory", HERE + "/../unit", HERE, ".frozen"]
os.chdir(FOLDER)

import broken_board
from harness import Random
from troubles import Over, PowerCut, Reset, life

DAY_MS = 86_400_000


def forget_modules():
    """As after a reset: the program is loaded again."""
    for name in list(sys.modules):
        if name.startswith("microdps"):
            del sys.modules[name]


def run():
    """Start again and again, as a board does, until the life is over. An exception that leaves the
    program would be one for main.py, and is none that may come."""
    cause = 1
    while True:
        life.reset_cause = cause
        life.fed_ms = life.now_ms
        life.watched = False
        forget_modules()
        from microdps import program

        try:
            program.run()
            raise AssertionError("the program has ended")
        except Over:
            return
        except Reset:
            cause = 2
            life.resets += 1
        except PowerCut:
            cause = 1
            life.cuts += 1
            life.cut = False
        life.now_ms += 2000


def main():
    with open("config.json") as file:
        config = json.load(file)
    config.update({"interval_s": INTERVAL_S, "transport": TRANSPORT, "log": "error"})
    config.update({"watchdog_s": 120, "led": 2})
    with open("config.json", "w") as file:
        json.dump(config, file)
    random.seed(SEED)
    broken_board.install(Random(SEED), DAYS * DAY_MS, INTERVAL_S * 1000)
    run()
    life.check()
    print(
        "%d days: %d messages, %d of them in quiet times, %d troubles, %d resets, %d power cuts"
        % (DAYS, life.sent, life.quiet, life.troubles, life.resets, life.cuts)
    )
    for name, days in (
        ("registrations", life.registrations),
        ("failed exchanges", life.failures),
        ("writes to flash", life.writes),
    ):
        print("%s a day at most: %d" % (name, max(days)))


main()
