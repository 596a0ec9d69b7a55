"""The figures that the project promises still hold. `make bench` shows all of them."""

import pytest

from bench import sizes
from bench.bench import Bench


def test_sizes_are_not_stale():
    assert sizes.table() == sizes.FILE.read_text(), "run 'make sizes'"


@pytest.fixture(scope="module")
def twelve_messages(tmp_path_factory):
    """The Run of a registration, two polls and twelve messages."""
    return Bench(tmp_path_factory.mktemp("bench")).run(messages=12)


def test_there_are_two_handshakes_and_no_more(twelve_messages):
    dps, hub = twelve_messages.dps, twelve_messages.hub
    assert (dps.connections, hub.connections) == (1, 1)
    assert (dps.requests, hub.requests) == (3, 12)


def test_a_request_is_one_tls_record(twelve_messages):
    dps, hub = twelve_messages.dps, twelve_messages.hub
    assert (dps.records, hub.records) == (dps.requests, hub.requests)


def test_a_message_is_cheap_and_nothing_grows(twelve_messages):
    """In bytes of the 64-bit heap. `make bench` measures the heap after 1,000 messages."""
    assert twelve_messages.printed["allocated"] <= 1600
    assert twelve_messages.printed["live_at_end"] == twelve_messages.printed["live_after_10"]


def test_bytes_on_the_wire_are_those_of_the_floor(twelve_messages, tmp_path):
    assert twelve_messages.bytes <= 1.05 * Bench(tmp_path).run("raw", 12).bytes
