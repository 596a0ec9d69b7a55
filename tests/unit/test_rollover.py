"""When an identity on trial is given up for the old one."""

import json
import os

from test_certificate import cert

from harness import raised
from microdps import rollover, state
from microdps.errors import LinkError, OutcomeUnknown, ProtocolError
from microdps.protocol.service_error import error as service_error

FILE = "state-of-a-trial.json"
OWNER = "0ne1/device-01@dps"


def failed(error, before=0):
    """What follows an error of a trial, and what the state file holds then."""
    choice = {"slot": "b", "mark": 77, "failed": before}
    state.forget(FILE)
    try:
        given_up = rollover.failed(choice, error, FILE, OWNER)
        return given_up, state.known(FILE, OWNER)
    finally:
        state.forget(FILE)


def test_refusal_gives_up_for_good():
    for status in (200, 400, 401, 403, 404):
        error = service_error(None, "dps", status, None, "", "")
        assert failed(error) == (True, {"refused": 77}), status


def test_peer_that_ends_the_handshake_gives_up_until_the_next_power_cut():
    for code in ("handshake", "alert"):
        assert failed(LinkError(code, "hub")) == (True, {"passed": 77})


def test_other_failures_give_up_at_the_third():
    for error in (
        service_error(None, "dps", 402, None, "", ""),
        service_error(None, "hub", 500, None, "", ""),
        service_error(None, "hub", 403, 403002, "quota", ""),
        LinkError("closed", "hub"),
        ProtocolError("json", "dps"),
        OutcomeUnknown("closed", "hub"),
        ValueError("x"),
    ):
        assert failed(error) == (False, {}), error
        assert failed(error, 1) == (False, {})
        assert failed(error, 2) == (True, {"passed": 77})


def identities(**slots):
    """slot → (valid, mark); rollover.look() sees these."""

    def look(slot):
        if slot not in slots:
            raise rollover.IdentityError("missing", slot)
        if slots[slot] is None:
            raise rollover.IdentityError("not-der", slot)
        valid, mark = slots[slot]
        return {"slot": slot, "valid": valid, "mark": mark, "trial": False, "begin": None}

    return look


def chosen(kept, **slots):
    """The identity that is chosen, and what is said."""
    said = []
    before = rollover.look
    rollover.look = identities(**slots)
    try:
        return rollover.choose(kept, said.append), said
    finally:
        rollover.look = before


def test_newer_identity_is_tried():
    choice, said = chosen({}, a=(100, 1), b=(200, 2))
    assert (choice["slot"], choice["trial"]) == ("b", True) and len(said) == 1
    choice, _ = chosen({"slot": "b"}, a=(300, 1), b=(200, 2))
    assert (choice["slot"], choice["trial"]) == ("a", True)


def test_older_refused_or_passed_one_is_not():
    for kept, b in (
        ({}, (100, 2)),
        ({}, (99, 2)),
        ({"refused": 2}, (200, 2)),
        ({"passed": 2}, (200, 2)),
    ):
        choice, _ = chosen(kept, a=(100, 1), b=b)
        assert (choice["slot"], choice["trial"], choice["begin"]) == ("a", False, None), kept


def test_one_that_is_not_valid_yet_waits_for_its_time():
    later = 2**40
    choice, _ = chosen({}, a=(100, 1), b=(later, 2))
    assert (choice["slot"], choice["trial"], choice["begin"]) == ("a", False, later)


def test_slot_that_cannot_be_read_is_reported_and_the_other_one_used():
    choice, said = chosen({}, a=(100, 1), b=None)
    assert choice["slot"] == "a" and said[0].startswith("error: b: ")
    choice, said = chosen({}, a=None, b=(100, 1))
    assert choice["slot"] == "b" and said[0].startswith("error: a: ")
    choice, said = chosen({}, a=(100, 1))
    assert choice["slot"] == "a" and said == []
    error = raised(chosen, {})
    assert error.args == ("missing", "a")
    assert raised(chosen, {"slot": "b"}).args == ("missing", "b")


def test_accepted_identity_is_named_by_the_state_file():
    class Session:
        owner = ("dps", "0ne1", "device-01")
        assignment = None
        renewed = changed = False
        refusals = 0

        def __init__(self):
            self.kept = {"passed": 5}

    choice = {"slot": "b", "trial": True}
    state.forget(FILE)
    try:
        rollover.accepted(Session(), choice, FILE)
        assert choice["trial"] is False
        assert state.load(FILE, OWNER) == {"slot": "b", "refused": None, "passed": 5}
        with open(FILE) as file:
            assert json.loads(file.read()[9:])["slot"] == "b"
    finally:
        state.forget(FILE)


class Lying:
    """An identity whose certificates lie in memory."""

    parts = {  # noqa: RUF012
        "cert": [cert(b"\x17\x0d200102030405Z", b"\x17\x0d300102030405Z"), b"an issuer"],
        "roots": [
            cert(b"\x17\x0d100101000000Z", b"\x17\x0d%02d0101000000Z" % year)
            for year in (35, 40, 31)
        ],
    }

    def certs(self, part):
        return iter(self.parts[part])

    def name(self, part):
        return part


def test_identity_is_described_by_its_first_certificate_and_its_newest_root():
    before = rollover.load
    rollover.load = lambda slot: Lying()
    try:
        seen = rollover.look("b")
    finally:
        rollover.load = before
    assert seen == {
        "slot": "b",
        "valid": rollover.certificate.seconds("2020-01-02 03:04:05"),
        "expiry": rollover.certificate.seconds("2030-01-02 03:04:05"),
        "until": rollover.certificate.seconds("2040-01-01 00:00:00"),
        "mark": 915_980_364,  # zlib.crc32()
        "trial": False,
        "begin": None,
        "failed": 0,
    }


def test_newer_identity_is_tried_from_the_second_on_in_which_it_becomes_valid():
    class Clock:
        @staticmethod
        def time():
            return 200

    before = rollover.time
    rollover.time = Clock
    try:
        for valid, trial, begin in ((199, True, None), (200, True, None), (201, False, 201)):
            choice, _ = chosen({}, a=(100, 1), b=(valid, 2))
            assert (choice["trial"], choice["begin"]) == (trial, begin), valid
    finally:
        rollover.time = before


def placed(file):
    """Where the identity lies for a program that was loaded from this file."""
    before = rollover.__file__
    rollover.__file__ = file
    try:
        return rollover.place()
    finally:
        rollover.__file__ = before


def test_slot_of_the_program_has_the_identity_if_it_has_a_configuration():
    folders = ("here", "here/program", "here/program/a", "here/programs", "here/programs/a")
    for folder in folders:
        os.mkdir(folder)
    files = (
        "here/program/config.json",
        "here/program/a/config.json",
        "here/programs/a/config.json",
    )
    try:
        assert placed("here/program/a/microdps/rollover.py") == ""
        for name in files:
            with open(name, "w") as file:
                file.write("{}")
        for file, place in (
            ("here/program/a/microdps/rollover.py", "here/program/a/"),
            ("here/program/a/microdps/rollover.mpy", "here/program/a/"),
            ("here/program/b/microdps/rollover.py", ""),
            ("here/program/microdps/rollover.py", ""),
            ("here/programs/a/microdps/rollover.py", ""),
            ("microdps/rollover.py", ""),
        ):
            assert placed(file) == place, file
    finally:
        for name in files:
            try:
                os.remove(name)
            except OSError:
                pass
        for folder in reversed(folders):
            os.rmdir(folder)
