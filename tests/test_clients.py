"""Published clients against the simulator: a sample of make test-clients, and its table."""

import re
import shutil
import socket

import pytest

from clients import run

NEEDED = {"curl": "curl", "openssl": "openssl", "mosquitto": "mosquitto_pub", "paho-mqtt": ""}


@pytest.fixture(scope="module")
def world():
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 443))
        except PermissionError:
            pytest.skip("this machine lets nobody listen on port 443")
        except OSError:
            pass  # another program has it; the simulator gets another address
    yield from run.worlds()


@pytest.mark.parametrize("client", NEEDED)
def test_client_takes_all_its_steps(world, client):
    if not shutil.which(NEEDED[client] or "python"):
        pytest.skip(f"{NEEDED[client]} is not installed")
    steps = run.CLIENTS[client](world)
    assert len(steps) > 1
    assert set(steps.values()) == {"ok"}, steps


def test_step_that_fails_is_counted_and_shown():
    results = {"one": {"connect": "ok", "send": "Error: no"}, "two": {"send": "ok"}}
    text = run.table(results)
    assert "| one | connect, **send: Error: no** |" in text
    assert text.endswith("2 clients, 3 steps, 1 failures\n")


def test_table_has_every_client_and_its_last_line_counts_it():
    text = run.README.read_text().partition(run.START)[2].partition(run.END)[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)[2:]
    assert [name for name, _ in rows] == list(run.CLIENTS)
    steps = sum(len(told.split(", ")) for _, told in rows)
    assert text.splitlines()[-1] == f"{len(rows)} clients, {steps} steps, 0 failures"
