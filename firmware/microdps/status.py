"""What a board has to say to the engineer who comes at night. `microdps status` runs it."""

import gc
import sys

from microdps import board, certificate, config, journal, rollover, state
from microdps.errors import Error


def show():
    """Print firmware, clock, memory, configuration, assignment, certificate, and last errors."""
    machine = getattr(sys.implementation, "_machine", sys.platform)
    print("firmware: %s on %s" % (sys.version.split("; ")[-1], machine))
    print("clock: %s UTC" % board.utc())
    gc.collect()
    if hasattr(gc, "mem_free"):
        print("free: %d bytes, IDF heap %d bytes" % (gc.mem_free(), board.idf_free()))
    _section(_assignment)
    _section(_certificate)
    _section(_errors)


def reset():
    """Forget the assignment and the last errors: the next start registers anew."""
    state.forget("state.json")
    state.forget("errors.json")
    print("forgotten: the assignment and the last errors")


def _section(section):
    """What cannot be read is said, and the rest is shown."""
    try:
        section()
    except Error as error:
        print("error:", error)


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
    moment = certificate.validity(identity.certs("cert")[0], identity.name("cert"))[1]
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
