"""The life of a board's program, phase by phase: what it holds after each.

The program's own code and flows on a scripted world (world.py). Each phase is a function of
PHASES; who runs them reads what is held in between. On the WebAssembly builds the collector runs
only between calls from JavaScript, so each is a call of its own there. On the Unix port main()
runs all of them in the heap that it was given.
"""

import gc
import os

from world import LEGACY, REFUSED, Time, answer, world

# What stays after boot.py and main.py; the board, and what it does.
boot = board = cycle = None

# Bytes that a test holds besides, to see that it is noticed; and those that move all others.
more = bytearray(0)
layout = bytearray(0)


def messages(count):
    for _ in range(count):
        sent = cycle.sent
        cycle.once()
        assert cycle.sent == sent + 1, "a message was not accepted"


def until_accepted(most=50):
    """Cycles, until a message is accepted."""
    sent = cycle.sent
    for _ in range(most):
        cycle.once()
        if cycle.sent > sent:
            return
    raise AssertionError(f"no message was accepted in {most} cycles")


def load():
    """Boot, as far as the program. Of main.py the code is kept, as it is while that runs."""
    global board, boot
    boot = {"__name__": "__main__"}
    with open("boot.py") as file:
        exec(file.read(), boot)  # noqa: S102
    with open("main.py") as file:
        boot["code"] = compile(file.read(), "main.py", "exec")
    from microdps import program  # noqa: F401
    from microdps.program.board import Board

    board = Board()


def start():
    global cycle
    from microdps.program.start import begin

    cycle = begin(board)


def register():
    messages(1)


def send():
    messages(10)


def busy():
    world.hub += [answer(b"503 Busy", LEGACY, b"Retry-After: 1\r\n")] * 3
    until_accepted()


def refused():
    world.hub += [answer(b"401 Unauthorized", LEGACY)]
    world.dps += [answer(b"401 Unauthorized", REFUSED)] * 2
    until_accepted()


def redirected():
    world.hub += [answer(b"307 Temporary Redirect", b"", b"Location: /elsewhere\r\n")]
    until_accepted()


def broken_off():
    world.hub += [None, OSError(-30592, "alert"), b"no HTTP\r\n\r\n"]
    until_accepted()


def no_wifi():
    world.wifi = False
    cycle.once()
    world.wifi = True
    until_accepted()


def faulty_app():
    import app

    read = app.read
    app.read = lambda: 1 // 0
    cycle.once()
    app.read = read
    until_accepted()


def out_of_memory():
    world.hub += [OSError(12, "ENOMEM")]
    until_accepted()


def late_certificate():
    """A new assignment to a hub that asks late: HTTPS ends with an alert, MQTT works."""
    cycle.session.assignment = None
    cycle.session.proven = False
    world.hub += [OSError(-30592, "alert"), OSError(-30592, "alert")]
    until_accepted()
    assert cycle.session.by_mqtt


def send_by_mqtt():
    messages(10)


def mqtt_refused():
    cycle.link.close()
    world.hub += [b"\x20\x02\x00\x05"]
    until_accepted()


def mqtt_broken_off():
    world.hub += [None, None]
    until_accepted()


def expires_soon():
    """Each message says it in a property."""
    cycle.choice["expiry"] = world.epoch_s + world.now_ms // 1000 + 86_400 * 10
    messages(2)


def newer_identity():
    """The one in slot b is tried, and kept. The clock goes on over a reset."""
    world.epoch_s = Time.EPOCH_2026_S
    os.rename("later", "identity/b")
    start()
    assert cycle.choice["trial"]
    messages(2)
    assert cycle.choice["slot"] == "b" and not cycle.choice["trial"]


def look_at_status():
    """Ctrl-C ends the program before; then the board is reset."""
    global cycle
    cycle.link.close()
    cycle = None
    from microdps.program import status

    status.show()


# A second life, for a board is reset before it tries a newer identity. `status` is asked here: the
# world has a hundred names of its own, and with those of the first life they would need another
# table of names (it doubles), which a board does not.
LATER = (load, newer_identity, send, busy, look_at_status)

PHASES = (
    load,
    start,
    register,
    send,
    busy,
    refused,
    redirected,
    broken_off,
    no_wifi,
    faulty_app,
    out_of_memory,
    send,
    expires_soon,
    late_certificate,
    send_by_mqtt,
    mqtt_refused,
    mqtt_broken_off,
    send_by_mqtt,
)


def main(phases):
    """All phases of a life in this interpreter's heap: for the Unix port."""
    gc.collect()
    before = gc.mem_alloc()
    print("before", before)
    for phase in phases:
        phase()
        gc.collect()
        print("phase", phase.__name__, gc.mem_alloc() - before)
    print("the end")
