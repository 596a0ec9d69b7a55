"""What must survive a reboot, in one small file: the assignment and the identity in use.

The file is JSON, preceded by its CRC-32, and replaced whole: written beside its place, then
renamed over it, so that a power cut leaves the old one or the new one. A file that is damaged, or
written for another device, counts as none.
"""

import binascii
import json
import os

from microdps.dps import Assignment
from microdps.errors import Error

# No state is larger; more would be no file of ours.
_FILE = 2048


class StateError(Error):
    """The state file is damaged or another device's. It is treated as none."""


def load(path: str, owner: str) -> dict:
    """Read the state of a device → dict, empty if there is none.

    owner  what the state was written for, as owner() gives it

    Raises StateError("damaged"), StateError("foreign"): once, for the next save() replaces it.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE + 1)
    except OSError:
        return {}
    crc, _, text = data.partition(b" ")
    try:
        if len(data) > _FILE or crc != _crc(text):
            raise ValueError
        state = json.loads(text)
        if not isinstance(state, dict):
            raise ValueError
    except ValueError:  # a UnicodeError is one
        raise StateError("damaged", path)
    if state.pop("owner", None) != owner:
        raise StateError("foreign", path)
    return state


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
    if isinstance(hub, str) and isinstance(device_id, str):
        substatus = state.pop("substatus", "")
        session.assign(
            Assignment(hub, device_id, "assigned", substatus, None), state.pop("proven", False)
        )
    session.kept = state
    if state.get("transport") == "mqtt" and session.proven and session.transport == "auto":
        session.use_mqtt()
    session.changed = False


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
