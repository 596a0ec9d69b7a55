"""What a message is known by: an ID, and its time."""

import os
import time

from micropython import const

# A clock before this year was never set.
_FIRST_YEAR = const(2025)


def named(session, system=None) -> dict:
    """The system's properties of a message that is made now: what it is known by in an outbox, and
    in the hub if it comes twice.

    system  those that are given, or None: they stay. message_id is added, and creation_time if the
            clock is set
    """
    system = dict(system or {})
    if "message_id" not in system:
        session.messages += 1
        system["message_id"] = "%s-%d" % (run(session), session.messages)
    seconds = clock()
    if seconds and "creation_time" not in system:
        system["creation_time"] = iso(seconds)
    return system


def run(session) -> str:
    """The 16 hex digits that no other run of the device has."""
    session.run = session.run or os.urandom(8).hex()
    return session.run


def clock() -> int:
    """The time, as time.time() counts; 0 while the clock is not set."""
    return int(time.time()) if time.gmtime()[0] >= _FIRST_YEAR else 0


def iso(seconds: int) -> str:
    """A moment, as time.time() counts, in UTC, as ISO 8601 has it."""
    return "%d-%02d-%02dT%02d:%02d:%02dZ" % tuple(time.gmtime(seconds)[:6])
