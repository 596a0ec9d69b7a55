"""What must survive a reboot, in one small file: the assignment and the identity in use.

The file is JSON, preceded by its CRC-32, and replaced whole: written beside its place, then
renamed over it, so that a power cut leaves the old one or the new one. A file that is damaged, or
written for another device, counts as none.
"""

import binascii
import json
import os
import time

from micropython import const

from microdps.errors import Error

# No state is larger; more would be no file of ours.
_FILE = const(2048)

# A clock before this year was never set.
_FIRST_YEAR = const(2025)


class StateError(Error):
    """The state file is damaged or another device's. It is treated as none."""


def read(path: str) -> dict:
    """The content of a state file, with its owner; empty if there is none. Raises
    StateError("damaged")."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            data = file.read(size) if size <= _FILE else b""
    except OSError:
        return {}
    crc, _, text = data.partition(b" ")
    try:
        if crc != _crc(text):
            raise ValueError
        state = json.loads(text)
        if not isinstance(state, dict):
            raise ValueError
    except ValueError:  # a UnicodeError is one
        raise StateError("damaged", path)
    return state


def load(path: str, owner: str) -> dict:
    """Read the state of a device → dict, empty if there is none.

    owner  what the state was written for, as owner() gives it

    Raises StateError("damaged"), StateError("foreign"): once, for the next save() replaces it.
    """
    state = read(path)
    if state and state.pop("owner", None) != owner:
        raise StateError("foreign", path)
    return state


def known(path: str, owner: str) -> dict:
    """The same, but a file that is damaged or another device's counts as none, as none is."""
    try:
        return load(path, owner)
    except StateError:  # the device reports it
        return {}


def save(path: str, owner: str, state: dict):
    """Replace the state of a device. Raises OSError if it cannot be written; the old one stays."""
    whole = dict(state)
    whole["owner"] = owner
    text = json.dumps(whole).encode()
    with open(path + ".new", "wb") as file:
        file.write(_crc(text) + b" " + text)
    os.rename(path + ".new", path)


def restore(path: str, session):
    """Give a microdps.device.Session what its device knew before the reboot. A damaged or foreign
    file is reported: it counts as none, and is replaced, so that it is reported once."""
    try:
        state = load(path, owner(*session.owner))
    except StateError as error:
        session.log("error: %s", error)
        keep(path, session)
        return
    hub, device_id = state.pop("hub", None), state.pop("device_id", None)
    from microdps.protocol import Assignment
    from microdps.provisioning import assign, use_mqtt

    if isinstance(hub, str) and isinstance(device_id, str):
        substatus = state.pop("substatus", "")
        assign(
            session,
            Assignment(hub, device_id, "assigned", substatus, None),
            state.pop("proven", False),
        )
    session.renewed = state.pop("renewed", False) is True
    refusals = state.pop("refusals", 0)
    if isinstance(refusals, int) and refusals > 0:
        session.refusals = refusals
        sooner(session, 0, state.pop("due_s", 0))
    session.kept = state
    if state.get("transport") == "mqtt" and session.proven and session.transport == "auto":
        use_mqtt(session)
    session.changed = False


def sooner(session, now: int, due_s):
    """Let a session wait until a moment of the clock, after its last refusal.

    now    by the session's own clock, ms
    due_s  the moment, as time.time() counts; 0 if it is not known

    While the clock is not set, and if the moment is later than the refusal can have meant, it
    waits as long as after the refusal itself.
    """
    from microdps.backoff import later, refused_ms

    ms = refused_ms(session.refusals)
    if isinstance(due_s, int) and due_s and time.gmtime()[0] >= _FIRST_YEAR:
        ms = min(ms, max(0, (due_s - int(time.time())) * 1000))
    later(session, now, ms)


def keep(path: str, session):
    """Save what the device knows now. Flash that cannot be written is reported, and no reason to
    stop sending."""
    session.changed = False
    state = dict(session.kept)
    if session.assignment:
        state["hub"] = session.assignment.hub
        state["device_id"] = session.assignment.device_id
        state["substatus"] = session.assignment.substatus
        state["proven"] = session.proven
    if session.renewed:
        state["renewed"] = True
    if session.refusals:
        state["refusals"] = session.refusals
        if time.gmtime()[0] >= _FIRST_YEAR:
            state["due_s"] = int(time.time()) + session.wait_ms // 1000
    try:
        save(path, owner(*session.owner), state)
    except OSError as error:
        session.log("error: cannot write %s: %s", path, error)


def owner(host: str, id_scope: str, registration_id: str) -> str:
    """What a state is written for."""
    return "%s/%s@%s" % (id_scope, registration_id, host)


def forget(path: str):
    """Delete a file that is replaced whole, if it is there, and what a power cut left of it."""
    for name in (path, path + ".new"):
        try:
            os.remove(name)
        except OSError:
            pass


def _crc(text: bytes) -> bytes:
    return b"%08x" % (binascii.crc32(text) & 0xFFFFFFFF)
