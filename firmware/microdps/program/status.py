"""How a board stands, for `microdps status`, which runs this after it has interrupted the
program. Each section loads what it needs, and lets it go: a board's memory is small."""

import sys

import microdps
from microdps.errors import Error
from microdps.program.board import STATE
from microdps.program.cycle import let_go

_HERE = "program.status "


def show():
    """Print the versions, memory, assignment, certificate, clock, and last errors."""
    print("program: microdps", microdps.__version__)
    machine = getattr(sys.implementation, "_machine", sys.platform)
    print("firmware: %s on %s" % (sys.version.split("; ")[-1], machine))
    for section in (memory, assignment, outbox, certificate, errors):
        try:
            section()
        except Error as error:  # the other sections are shown
            print("error:", error)
        let_go(_HERE)


def reset():
    """Forget the assignment and the last errors: the next start registers anew."""
    from microdps import state

    state.forget(STATE)
    state.forget("errors.json")
    print("forgotten: the assignment and the last errors")


def memory():
    from microdps import memory
    from microdps.program import last

    size = last.get("size") or memory.heap_size()
    held = last.get("held") or memory.held()
    if size:
        first = last.get("first") or size
        grown = "has grown from %d" % first if size > first else "has not grown"
        print("GC heap: %d of %d bytes held, it %s" % (held, size, grown))
    idf = memory.idf_heap()
    if idf:
        print("IDF heap: %d bytes free, largest block %d, least ever free %d" % idf)


def known():
    """The device, as the state file names it, and what that file holds. Raises Error."""
    from microdps.program.config import load
    from microdps.rollover import place

    where = place()
    del place
    settings = load(where + "config.json")
    let_go(_HERE)
    from microdps import state

    owner = state.owner(settings["host"], settings["id_scope"], settings["registration_id"])
    print("device:", owner)
    if where:
        print("configuration: in %s, deployed with the program" % where)
    return state.load(STATE, owner)


def assignment():
    kept = known()
    if "hub" in kept:
        print("assigned to %s as %s" % (kept["hub"], kept["device_id"]))
    else:
        print("assigned: not yet")
    let_go(_HERE)
    next_try(kept)


def next_try(kept: dict):
    """When the program goes on, if it waits after an error, and why."""
    import time

    from microdps import advice
    from microdps.program import last

    wait_s = last.get("wait_ms", 0) // 1000
    code = last.get("why")
    if not wait_s and "up_ms" not in last:  # the program does not run here
        wait_s = int(kept.get("due_s", 0) - time.time())
    if wait_s > 0:
        day, clock = _when(time.time() + wait_s)
        why = advice.lookup(code)[0] if code else "it was refused"
        print("waits until %s %s UTC: %s; 'microdps reset' tries at once" % (day, clock, why))
    if "up_ms" in last:
        minutes = last["up_ms"] // 60_000
        print("up: %d days, %d:%02d hours" % (minutes // 1440, minutes // 60 % 24, minutes % 60))


def outbox():
    """How many messages wait, since when, and for how many there was no room."""
    import os

    from microdps.program import last
    from microdps.program.board import OUTBOX

    try:
        os.stat(OUTBOX)
    except OSError:  # nothing was ever kept
        return
    count, since = waiting(OUTBOX)
    text = "outbox: empty"
    if count:
        text = "outbox: %d messages wait, the oldest since %s" % (count, since)
    if last.get("lost"):
        text += "; there was no room for %d" % last["lost"]
    print(text)


def waiting(path: str):
    """How many messages an outbox holds, and the time of the oldest. Raises Error."""
    import json

    from microdps.outbox.files import Outbox
    from microdps.program.config import load
    from microdps.rollover import place
    from microdps.session import Session

    settings = load(place() + "config.json", print)
    names = settings["host"], settings["id_scope"], settings["registration_id"]
    box = Outbox(path, Session(names, 0, buf=bytearray(1)), lambda: 0)
    count, since = 0, "a time that is not known"
    for number in range(box.first, box.last + 1):
        for file, length, _, _, _ in box.messages(number):
            if length and not count:
                properties = json.loads(file.read(length))["properties"]
                since = properties.get("iothub-creationtimeutc", since)
            count += length > 0
    return count, since


def _when(moment: float):
    import time

    now = time.gmtime(int(moment))
    return "%d-%02d-%02d" % tuple(now[:3]), "%02d:%02d" % tuple(now[3:5])


def certificate():
    from microdps import certificate, rollover

    slot = used_slot()
    identity = rollover.load(slot)
    for cert in identity.certs("cert"):
        moment = certificate.validity(cert, identity.name("cert"))[1]
        days = certificate.days_left(moment)
        print("certificate: until %s UTC, %d days, in slot %s" % (moment, days, slot))
        break


def used_slot() -> str:
    """The slot of the identity in use; the first one if the state file cannot be read."""
    from microdps import state

    try:
        return "b" if state.read(STATE).get("slot") == "b" else "a"
    except Error:  # the section of the assignment says so
        return "a"


def errors():
    from microdps import advice
    from microdps.program import journal

    print("clock: %s UTC" % journal.utc())
    entries = journal.load("errors.json")
    print("errors: %s" % (len(entries) or "none"))
    for entry in entries:
        times = "" if entry["count"] == 1 else ", %d times" % entry["count"]
        print("  %s UTC%s: %s" % (entry["utc"], times, entry["where"]))
        code = entry["code"]
        if entry.get("exception"):
            print("    %s in the program or app.py" % code)
        else:
            print("    %s: %s. Check %s." % ((code,) + advice.lookup(code)))
        if entry.get("tracking_id"):
            print("    tracking ID:", entry["tracking_id"])
