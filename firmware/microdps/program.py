"""What main.py runs: join the network, set the clock, provision, send telemetry.

Everything that differs from board to board is in config.json and identity/a; what to send is in
app.py. The same runs on a computer, where there is no Wi-Fi to join, and the first error ends it.
A board reports an error and goes on.
"""

import errno
import gc
import os
import random
import sys
import time

from microdps import certificate, config, state
from microdps.board import PRESENT, Board
from microdps.device import Device
from microdps.errors import Error, IdentityError
from microdps.journal import Journal
from microdps.rollover import Slots

# How often an idle connection is looked after.
_PING_S = 60

# The program in use: boot.py describes it.
_USE = "program/use"


def read(app):
    """What to send → dict, or None: a fault of app.py is reported, and no reason to stop."""
    try:
        return app.read()
    except Exception as error:
        print("error: app.py: %r" % error)
        if hasattr(sys, "print_exception"):
            sys.print_exception(error)
        return None


def send(device, board, wifi, data, expiry):
    """Send one message, the Wi-Fi joined again if it was lost."""
    board.join(wifi)
    if not device.assignment:
        board.spread(random)
        assignment = device.provision()
        print("assigned to %s as %s" % (assignment.hub, assignment.device_id))
    note = certificate.warning(expiry)
    if note:
        print("certificate:", note)
    device.send(data, {"certificate": note} if note else None)


def proven():
    """This program has done its work: if it is on trial, it stays from now on."""
    try:
        with open(_USE) as file:
            use = file.read()
        if len(use) > 1:
            with open(_USE + ".new", "w") as file:
                file.write(use[0])
            os.rename(_USE + ".new", _USE)
            print("program: the one in slot %s stays in use" % use[0])
    except OSError as error:
        if error.args[0] != errno.ENOENT:  # no slots
            print("error: cannot write %s: %s" % (_USE, error))


def show_errors(line):
    """The log at level "error"."""
    if line.startswith("error"):
        print(line)


def main(app, board, settings, journal) -> int:
    who = settings["host"], settings["id_scope"], settings["registration_id"]
    log = print if settings["log"] == "info" else show_errors

    def make(identity, path):
        host, id_scope, registration_id = who
        return Device(
            identity,
            id_scope,
            registration_id,
            host,
            log=log,
            state=path,
            feed=board.feed,
            transport=settings["transport"],
        )

    slots = Slots("state.json", state.owner(*who), make, print)
    sent = 0
    while True:
        start = time.time()
        data = read(app)
        if data is not None:
            board.show("working")
            try:
                send(slots.device, board, settings["wifi"], data, slots.expiry)
                sent += 1
                slots.accepted()
                if sent == 1:
                    proven()
                board.show("done")
            except Error as error:
                journal.note(error)
                board.show("error")
                tried = slots.trial
                slots.failed(error)
                if not PRESENT and not tried:
                    raise
                print("error:", error)
        if sent and sent == settings["messages"]:
            print("done: %d messages sent" % sent)
            return 0
        left = settings["interval_s"] - (time.time() - start)
        while left > _PING_S:
            board.sleep(_PING_S * 1000)
            slots.device.ping()
            left = settings["interval_s"] - (time.time() - start)
        board.sleep(int(max(0, left) * 1000))


def run() -> int:
    """Until all messages are sent, or for ever → exit code: 0 done, 1 it cannot go on."""
    import app  # the user's own, beside main.py

    board = None
    gc.collect()  # what compiling has left behind
    try:
        settings = config.load("config.json")
        board = Board(settings["led"], settings["watchdog_s"])
        return main(app, board, settings, Journal("errors.json"))
    except (config.ConfigError, IdentityError) as error:
        print("error:", error)  # nothing that waiting would mend
        if board:
            board.show("error")
        return 1
    except Error as error:
        print("error:", error)
        return 1
    except KeyboardInterrupt:
        print("stopped")
        if board:
            board.show("done")
        return 1
    finally:
        if board:
            board.stop()
