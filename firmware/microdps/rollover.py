"""The device's two identities: slot a, and slot b for the certificate that follows the first.

A newer identity in the other slot is tried once its certificate is valid. When DPS and the hub
have accepted it, the state file names its slot: one file replaced is the switch. If it is
refused, that is reported, the old one goes on, and the same certificate is not tried again.
Until the switch a power cut changes nothing: the next start tries again.

A slot is the folder identity/a or identity/b, or the namespace microdps or microdps_b of the
non-volatile storage. Loaded for the start, and while an identity is on trial.
"""

import binascii
import os
import time

from micropython import const

from microdps import certificate
from microdps.errors import IdentityError, LinkError, ServiceError
from microdps.identity import Identity

NAMESPACES = {"a": "microdps", "b": "microdps_b"}

# Failures of a trial for other reasons, a lost network for one, until the old identity goes on.
_PATIENCE = const(3)


def place() -> str:
    """The path before config.json and identity/. If they were deployed with the program, that is
    its slot: a program that goes back to the one before takes them back with it."""
    slot = __file__.rsplit("microdps/", 1)[0]
    try:
        if slot[-11:-2] == "/program/":
            os.stat(slot + "config.json")
            return slot
    except OSError:
        pass
    return ""


def load(slot: str) -> Identity:
    """The identity of a slot, from files, else from NVS. Raises IdentityError."""
    folder = place() + "identity/" + slot
    try:
        return Identity.from_files(folder)
    except IdentityError as error:
        if error.args != ("missing", folder + "/key.der"):
            raise
        missing = error
    try:
        return Identity.from_nvs(NAMESPACES[slot])
    except ImportError:  # no ESP32
        raise missing
    except IdentityError as error:
        raise missing if error.args[0] == "missing" else error


def look(slot: str) -> dict:
    """What the identity of a slot is → a dict, which holds no module in memory:

    slot    "a" or "b": where it lies
    valid   when its certificate becomes valid, as time.time() counts
    expiry  when its certificate expires
    until   when the newest of its roots expires
    mark    tells its certificate from others
    trial   is it newer than the one in use, and to be tried?
    begin   when the newer certificate in the other slot becomes valid, which is then to be tried;
            None if there is none
    failed  how often it has failed while on trial

    Raises IdentityError.
    """
    identity = load(slot)
    cert, name = next(identity.certs("cert")), identity.name("cert")
    valid, expiry = [certificate.seconds(m) for m in certificate.validity(cert, name)]
    until = 0
    name = identity.name("roots")
    for root in identity.certs("roots"):
        until = max(until, certificate.seconds(certificate.validity(root, name)[1]))
    mark = binascii.crc32(cert) & 0xFFFFFFFF
    return {
        "slot": slot,
        "valid": valid,
        "expiry": expiry,
        "until": until,
        "mark": mark,
        "trial": False,
        "begin": None,
        "failed": 0,
    }


def choose(kept: dict, say) -> dict:
    """Choose between the two slots → the one to use, as look() describes it.

    kept  what the state file holds
    say   a function that is handed a line of text

    Raises IdentityError if neither slot holds an identity that can be used.
    """
    first, second = ("b", "a") if kept.get("slot") == "b" else ("a", "b")
    try:
        used = look(first)
    except IdentityError as error:
        try:
            used = look(second)
        except IdentityError:
            raise error
        say("error: %s" % error)
        return used
    try:
        other = look(second)
    except IdentityError as error:
        if error.args[0] != "missing":
            say("error: %s" % error)
        return used
    if other["valid"] <= used["valid"] or other["mark"] in (
        kept.get("refused"),
        kept.get("passed"),
    ):
        return used
    if other["valid"] > time.time():
        used["begin"] = other["valid"]
        return used
    say("certificate: trying the newer one in slot " + second)
    other["trial"] = True
    return other


def accepted(session, choice: dict, path: str):
    """The hub has accepted a message with the identity on trial: keep it, and the session's state
    with it."""
    from microdps.state import keep

    choice["trial"] = False
    session.kept.update({"slot": choice["slot"], "refused": None})
    keep(path, session)
    print("certificate: the one in slot %s is in use now" % choice["slot"])


def failed(choice, error, path: str, owner: str) -> bool:
    """A message was not accepted → is the identity on trial given up for the old one? It is if it
    was refused, if the peer ended the handshake, or after some failures of another kind. The state
    file remembers it: "refused" is not tried again, "passed" after the next power cut.
    """
    from microdps import state
    from microdps.backoff import QUOTA

    refused = (
        isinstance(error, ServiceError)
        and error.status in (200, 400, 401, 403, 404)
        and error.error_code not in QUOTA
    )
    broken = isinstance(error, LinkError) and error.args[0] in ("handshake", "alert")
    choice["failed"] += 1
    if not refused and not broken and choice["failed"] < _PATIENCE:
        return False
    print("error: certificate in slot %s given up: %s" % (choice["slot"], error))
    kept = state.known(path, owner)
    kept["refused" if refused else "passed"] = choice["mark"]
    state.save(path, owner, kept)
    return True
