"""The figures that the project promises. `make bench` shows all of them."""

import pytest

from bench import sizes
from bench.bench import Bench


def test_sizes_are_not_stale():
    assert sizes.table() == sizes.FILE.read_text(), "run 'make sizes'"


@pytest.fixture(scope="module")
def twelve_messages(tmp_path_factory):
    """Register, two polls, twelve messages."""
    return Bench(tmp_path_factory.mktemp("bench")).run(messages=12)


def test_two_handshakes_to_the_tenth_message_and_none_more(twelve_messages):
    _, dps, hub = twelve_messages
    assert (dps.connections, hub.connections) == (1, 1)
    assert (dps.requests, hub.requests) == (3, 12)


def test_a_request_is_one_tls_record(twelve_messages):
    _, dps, hub = twelve_messages
    assert (dps.records, hub.records) == (dps.requests, hub.requests)
