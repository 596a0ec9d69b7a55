"""How a board stands, for `microdps status`, which runs this after it has interrupted the
program."""

import sys

from microdps import certificate, memory, program, rollover, state
from microdps.errors import Error
from microdps.program import config, journal
from microdps.program.board import utc


def show():
    """Print firmware, clock, memory, configuration, assignment, certificate, and last errors."""
    machine = getattr(sys.implementation, "_machine", sys.platform)
    print("firmware: %s on %s" % (sys.version.split("; ")[-1], machine))
    print("clock: %s UTC" % utc())
    for section in (_memory, _assignment, _certificate, _errors):
        try:
            section()
        except Error as error:  # the other sections are shown
            print("error:", error)


def reset():
    """Forget the assignment and the last errors: the next start registers anew."""
    state.forget("state.json")
    state.forget("errors.json")
    print("forgotten: the assignment and the last errors")


def _memory():
    last = program.last
    size = last.get("size") or memory.heap_size()
    held = last.get("held") or memory.held()
    if size:
        first = last.get("first") or size
        grown = "has grown from %d" % first if size > first else "has not grown"
        print("GC heap: %d of %d bytes held, it %s" % (held, size, grown))
    idf = memory.idf_heap()
    if idf:
        print("IDF heap: %d bytes free, largest block %d, least ever free %d" % idf)


def _owner() -> str:
    settings = config.load("config.json")
    return state.owner(settings["host"], settings["id_scope"], settings["registration_id"])


def _kept() -> dict:
    try:
        return state.load("state.json", _owner())
    except Error:  # the section of the assignment says so
        return {}


def _assignment():
    owner = _owner()
    print("device:", owner)
    kept = state.load("state.json", owner)
    if "hub" in kept:
        print("assigned to %s as %s" % (kept["hub"], kept["device_id"]))
    else:
        print("assigned: not yet")


def _certificate():
    slot = "b" if _kept().get("slot") == "b" else "a"
    identity = rollover.load(slot)
    moment = certificate.validity(next(identity.certs("cert")), identity.name("cert"))[1]
    days = certificate.days_left(moment)
    print("certificate: until %s UTC, %d days, in slot %s" % (moment, days, slot))


def _errors():
    entries = journal.load("errors.json")
    print("errors: %d" % len(entries))
    for entry in entries:
        print(
            "  %s UTC  %s  %s  %s  %d times"
            % (
                entry["utc"],
                entry["code"],
                entry["where"],
                entry.get("tracking_id") or "-",
                entry["count"],
            )
        )
