"""The life of a board's program, phase by phase: what it holds after each.

The program's own code and flows on a scripted world (world.py). Each phase is a function of
PHASES; who runs them reads what is held in between. On the WebAssembly builds the collector runs
only between calls from JavaScript, so each is a call of its own there. On the Unix port main()
runs all of them in the heap that it was given.
"""

import gc

from world import HUB, LEGACY, NO_CONTENT, REFUSED, answer, world

board = cycle = main = None


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
    raise AssertionError("no message was accepted in %d cycles" % most)


def load():
    """Boot, as far as the program. Of main.py the code is kept, as it is while that runs."""
    global board, main
    with open("boot.py") as file:
        exec(file.read(), {"__name__": "__main__"})  # noqa: S102
    with open("main.py") as file:
        main = compile(file.read(), "main.py", "exec")
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
    late_certificate,
    send_by_mqtt,
    mqtt_refused,
    mqtt_broken_off,
    send_by_mqtt,
)
