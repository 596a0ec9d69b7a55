"""Messages in one request: their form, their time, their size."""

import binascii
import json
import sys
import time

import microdps.outbox.naming
from harness import Skip
from microdps.outbox.batch import Batch
from microdps.outbox.item import encode
from outbox_world import clean, items, outbox, text

SYSTEM = {"message_id": "m"}
# 2026-11-28 12:00, as time.time() counts.
NOON_S = 849_182_400 + (0 if time.gmtime(0)[0] == 2000 else 946_684_800)


def test_text_is_sent_as_text_if_that_is_shorter():
    long = '["a longer text, of which few characters must be escaped, is shorter as it is: \\n"]'
    made = json.loads(encode(long.encode(), None, SYSTEM))
    assert made["body"] == long and made["base64Encoded"] is False
    short = json.loads(encode(b"{}", None, SYSTEM))
    assert short["body"] == "e30=" and "base64Encoded" not in short


def test_what_is_no_text_is_sent_as_base64():
    data = bytes(range(256))
    made = json.loads(encode(memoryview(data), None, SYSTEM))
    assert binascii.a2b_base64(made["body"].encode()) == data
    assert "base64Encoded" not in made


class Clock:
    """A module of time whose clock shows a moment; 0: it is not set."""

    def __init__(self, seconds):
        self.seconds = seconds

    def time(self):
        return self.seconds

    def gmtime(self, seconds=None):
        return time.gmtime(self.seconds if seconds is None else seconds)


def with_clock(seconds, function):
    """What a function returns while the clock shows a moment; 0: it is not set."""
    microdps.outbox.naming.time = Clock(seconds)
    try:
        return function()
    finally:
        microdps.outbox.naming.time = time


@clean
def test_time_of_a_reading_is_that_when_it_was_queued():
    with_clock(NOON_S, lambda: outbox().queue(b"1"))
    made = with_clock(NOON_S + 3600, lambda: items(outbox()))
    assert made[0]["properties"]["iothub-creationtimeutc"] == "2026-11-28T12:00:00Z"


@clean
def test_time_is_known_later_within_the_same_run():
    now = [20_000]
    box = outbox(now=lambda: now[0])
    with_clock(0, lambda: box.queue(b"1"))
    unknown = with_clock(0, lambda: items(box))
    assert unknown[0]["properties"]["iothub-app-time"] == "unknown"
    now[0] = 80_000
    made = with_clock(NOON_S, lambda: items(box))
    assert made[0]["properties"]["iothub-creationtimeutc"] == "2026-11-28T11:59:00Z"
    assert "iothub-app-time" not in made[0]["properties"]


@clean
def test_time_stays_unknown_after_a_restart():
    with_clock(0, lambda: outbox().queue(b"1"))
    box = outbox()
    made = with_clock(NOON_S, lambda: items(box))
    assert made[0]["properties"]["iothub-app-time"] == "unknown"


@clean
def test_clock_that_jumps_changes_no_time_that_is_known():
    box = outbox()
    with_clock(NOON_S, lambda: box.queue(b"1"))
    with_clock(NOON_S - 400 * 86_400, lambda: box.queue(b"2"))
    made = with_clock(NOON_S + 400 * 86_400, lambda: items(box))
    times = [one["properties"]["iothub-creationtimeutc"] for one in made]
    assert times == ["2026-11-28T12:00:00Z", "2025-10-24T12:00:00Z"]


def needs_collector():
    """WebAssembly builds collect no garbage while a test runs."""
    if sys.platform == "webassembly":
        raise Skip("it makes more garbage than there is room for")


@clean
def test_batch_holds_as_many_as_are_asked_for_and_a_hub_takes():
    needs_collector()
    box = outbox(most=1 << 20)
    for _ in range(60):
        box.queue(b"x" * 5_000)
    assert len(json.loads(text(Batch(box, 5)))) == 5
    whole = Batch(box, 1000)
    assert 261_120 - 5_200 < len(whole) <= 261_120
    assert sum([len(piece) for piece in whole.pieces(memoryview(bytearray(4096)))]) == len(whole)


@clean
def test_one_message_is_a_batch_however_large():
    needs_collector()
    box = outbox(most=1 << 20)
    try:
        box.queue(b"x" * 262_144)
    except MemoryError:
        raise Skip("it needs a heap of 2 MB")
    box.queue(b"next")
    assert Batch(box, 1000).count == 1


@clean
def test_size_is_near_the_smallest_json():
    box = outbox()
    for number in range(100):
        box.queue(b'{"temperature": %d.5, "humidity": 40, "battery": 3.1}' % number, {"room": "a"})
    made = items(box)
    smallest = len(json.dumps(made, separators=(",", ":")))
    assert len(made) == 100
    assert len(Batch(box, 1000)) <= 1.05 * smallest
