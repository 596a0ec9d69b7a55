"""What a deployed board runs: join the network, set the clock, provision, send telemetry.

Everything that differs from board to board is in config.json and identity/a; what to send is in
app.py. The same file runs on a computer, where there is no Wi-Fi to join.
"""

import sys
import time

import app

from microdps import board, config
from microdps.device import Device
from microdps.errors import Error
from microdps.identity import Identity


def main() -> int:
    settings = config.load("config.json")
    board.join(settings["wifi"])
    log = print if settings["log"] == "info" else None
    device = Device(
        Identity.from_files("identity/a"),
        settings["id_scope"],
        settings["registration_id"],
        settings["host"],
        log=log,
    )
    assignment = device.provision()
    print("assigned to %s as %s" % (assignment.hub, assignment.device_id))
    sent = 0
    while True:
        device.send(app.read())
        sent += 1
        if sent == settings["messages"]:
            break
        time.sleep(settings["interval_s"])
    print("done: %d messages sent" % sent)
    return 0


def run() -> int:
    try:
        return main()
    except Error as error:
        print("error:", error)
    except KeyboardInterrupt:
        print("stopped")
    return 1


if __name__ == "__main__":
    code = run()
    if not board.PRESENT:
        sys.exit(code)  # on a board that would restart it, and register again and again
