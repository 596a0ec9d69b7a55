"""The state file: kept whole, and a damaged or foreign one counts as none."""

import json
import os
import time

from harness import raised
from microdps import state
from microdps.protocol import Assignment
from microdps.provisioning import assign
from microdps.session import Session

FILE = "state-under-test.json"
OWNER = "0ne1/device-01@dps"


def session(registration_id="device-01"):
    return Session(("dps", "0ne1", registration_id), 1000, "auto", lines.append, bytearray(64))


lines = []  # what the sessions of the running test have logged


def clean(test):
    """Delete the file before and after a test."""

    def run():
        del lines[:]
        state.forget(FILE)
        try:
            test()
        finally:
            state.forget(FILE)

    return run


@clean
def test_no_file_is_no_state():
    assert state.load(FILE, OWNER) == {}


@clean
def test_what_was_saved_is_loaded():
    state.save(FILE, OWNER, {"hub": "h", "n": 1})
    assert state.load(FILE, OWNER) == {"hub": "h", "n": 1}
    state.save(FILE, OWNER, {"hub": "other"})
    assert state.load(FILE, OWNER) == {"hub": "other"}
    assert FILE + ".new" not in os.listdir(".")


@clean
def test_file_of_another_device_is_foreign():
    state.save(FILE, OWNER, {"hub": "h"})
    assert raised(state.load, FILE, "0ne1/device-02@dps").args == ("foreign", FILE)


@clean
def test_every_damage_is_noticed():
    state.save(FILE, OWNER, {"hub": "hub.example", "device_id": "d"})
    with open(FILE, "rb") as file:
        good = file.read()
    damaged = [good[:at] for at in range(len(good))] + [good + b" ", good + b"x" * 5000]
    for at in range(len(good)):
        flipped = bytearray(good)
        flipped[at] ^= 1
        damaged.append(bytes(flipped))
    for data in damaged:
        with open(FILE, "wb") as file:
            file.write(data)
        error = raised(state.load, FILE, OWNER)
        assert isinstance(error, state.StateError), data
        assert error.args == ("damaged", FILE), data


@clean
def test_whole_file_that_is_no_object_is_damaged():
    for text in (b"[]", b"5", b"null", b'"x"'):
        with open(FILE, "wb") as file:
            file.write(state._crc(text) + b" " + text)
        assert raised(state.load, FILE, OWNER).args == ("damaged", FILE)


@clean
def test_power_cut_before_the_rename_leaves_the_old_state():
    state.save(FILE, OWNER, {"hub": "old"})
    with open(FILE + ".new", "wb") as file:
        file.write(b"half of the n")
    assert state.load(FILE, OWNER) == {"hub": "old"}
    state.save(FILE, OWNER, {"hub": "new"})
    assert state.load(FILE, OWNER) == {"hub": "new"}


@clean
def test_session_goes_on_where_it_was():
    before = session()
    assign(
        before, Assignment("hub.example:1", "Thing", "assigned", "initialAssignment", None), True
    )
    before.kept = {"slot": "b"}
    state.keep(FILE, before)
    after = session()
    state.restore(FILE, after)
    assert after.assignment == before.assignment
    assert after.proven
    assert after.kept == {"slot": "b"}


@clean
def test_damaged_state_is_reported_once():
    with open(FILE, "wb") as file:
        file.write(b"rubbish")
    one = session()
    state.restore(FILE, one)
    assert one.assignment is None
    assert len(lines) == 1
    assert lines[0].startswith("error: " + FILE + ": the state file is damaged")
    state.restore(FILE, session())
    assert len(lines) == 1


@clean
def test_state_that_cannot_be_written_is_reported_and_no_reason_to_stop():
    state.keep("no-such-folder/state.json", session())
    assert len(lines) == 1 and "no-such-folder/state.json" in lines[0]


@clean
def test_file_is_readable_by_a_person():
    state.save(FILE, OWNER, {"hub": "h"})
    with open(FILE) as file:
        crc, _, text = file.read().partition(" ")
    assert len(crc) == 8
    assert json.loads(text)["hub"] == "h"


@clean
def test_what_is_kept_besides_the_assignment():
    before = session()
    before.renewed = True
    before.refusals = 3
    before.wait_ms = 90_000
    before.changed = True
    state.keep(FILE, before)
    assert before.changed is False
    kept = state.load(FILE, OWNER)
    assert kept["renewed"] is True and kept["refusals"] == 3
    assert 88 <= kept["due_s"] - int(time.time()) <= 90
    after = session()
    state.restore(FILE, after)
    assert after.renewed and after.refusals == 3 and not after.changed
    assert after.assignment is None and not after.proven


@clean
def test_assignment_that_was_not_proven_is_doubted():
    for kept, assigned in (
        ({"hub": "h", "device_id": "d"}, True),
        ({"hub": "h"}, False),
        ({"device_id": "d"}, False),
        ({"hub": 5, "device_id": "d"}, False),
        ({"hub": "h", "device_id": None}, False),
    ):
        state.forget(FILE)
        state.save(FILE, OWNER, kept)
        after = session()
        state.restore(FILE, after)
        assert (after.assignment is not None) == assigned, kept
        assert after.proven is False


@clean
def test_wait_after_a_reboot_is_what_is_left_of_it():
    now = int(time.time())
    for due_s, low, high in (
        (now + 100, 98_000, 100_000),
        (now - 5, 0, 0),
        (now + 10_000, 240_000, 240_000),  # later than the third refusal can have meant
        (0, 240_000, 240_000),
        ("soon", 240_000, 240_000),
    ):
        state.save(FILE, OWNER, {"refusals": 3, "due_s": due_s})
        after = session()
        state.restore(FILE, after)
        assert low <= after.wait_ms <= high, due_s


@clean
def test_largest_file_that_is_read():
    for size, right in ((2048, True), (2049, False)):
        state.forget(FILE)
        state.save(FILE, OWNER, {"x": ""})
        with open(FILE, "rb") as file:
            room = size - len(file.read())
        state.forget(FILE)  # 1.24's WebAssembly build keeps what a rename replaces
        state.save(FILE, OWNER, {"x": "y" * room})
        if right:
            assert state.load(FILE, OWNER) == {"x": "y" * room}
        else:
            assert raised(state.load, FILE, OWNER).args == ("damaged", FILE)


class Clock:
    """The module time, in a year."""

    def __init__(self, year):
        self.year = year

    def time(self):
        return 5000

    def gmtime(self):
        return (self.year, 1, 1, 0, 0, 0, 0, 1)


def in_year(year, function, *arguments):
    """Call a function of the module by a clock of that year."""
    real = state.time
    state.time = Clock(year)
    try:
        return function(*arguments)
    finally:
        state.time = real


@clean
def test_moment_of_the_next_request_is_kept_and_used_once_the_clock_is_set():
    for year, right in ((2000, False), (2024, False), (2025, True), (2026, True)):
        state.forget(FILE)
        before = session()
        before.refusals = 3
        before.wait_ms = 200_000
        in_year(year, state.keep, FILE, before)
        assert state.load(FILE, OWNER).get("due_s") == (5200 if right else None), year
        after = session()
        after.refusals = 1
        in_year(year, state.sooner, after, 0, 5007)
        assert after.wait_ms == (7000 if right else 60_000), year


@clean
def test_long_wait_is_kept_to_the_second():
    before = session()
    before.refusals = 20
    before.wait_ms = 86_400_999
    in_year(2030, state.keep, FILE, before)
    assert state.load(FILE, OWNER)["due_s"] == 5000 + 86_400


@clean
def test_nothing_is_known_of_what_the_file_does_not_hold():
    state.save(FILE, OWNER, {"hub": "h", "device_id": "d"})
    after = session()
    after.changed = True
    state.restore(FILE, after)
    assert (after.renewed, after.refusals, after.wait_ms, after.kept) == (False, 0, 0, {})
    assert not after.changed and not after.by_mqtt


@clean
def test_values_of_another_type_are_not_used():
    state.save(FILE, OWNER, {"renewed": 1, "refusals": "3"})
    after = session()
    state.restore(FILE, after)
    assert after.renewed is False and after.refusals == 0 and after.wait_ms == 0


@clean
def test_mqtt_goes_on_only_with_a_hub_that_has_accepted_messages_by_it():
    for kept, proven, transport, by_mqtt in (
        ("mqtt", True, "auto", True),
        ("mqtt", False, "auto", False),
        ("mqtt", True, "https", False),
        ("mqtt", False, "https", False),
        ("https", True, "auto", False),
        (None, True, "auto", False),
        (None, True, "mqtt", True),
    ):
        state.forget(FILE)
        whole = {"hub": "h", "device_id": "d", "proven": proven, "transport": kept}
        state.save(FILE, OWNER, whole)
        after = Session(("dps", "0ne1", "device-01"), 1000, transport, None, bytearray(64))
        state.restore(FILE, after)
        assert after.by_mqtt == by_mqtt, (kept, proven, transport)
        assert not after.changed
