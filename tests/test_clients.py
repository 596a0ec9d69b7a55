"""Published clients against the simulator: a sample of make test-clients, and its table."""

import re
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

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
    with run.simulators() as started:
        yield started


@pytest.mark.parametrize("client", NEEDED)
def test_client_takes_all_its_steps(world, client):
    if not shutil.which(NEEDED[client] or "python"):
        pytest.skip(f"{NEEDED[client]} is not installed")
    steps = run.CLIENTS[client](world)
    assert len(steps) > 1
    assert set(steps.values()) == {"ok"}, steps


@pytest.mark.parametrize(
    ("script", "steps"),
    [
        ("print('ok send')", {"send": "ok"}),
        ("print('ok send'); exit(3)", {"send": "ok", "end": "exit code 3: ok send"}),
        ("import sys; sys.exit('no file')", {"start": "exit code 1: no file"}),
        ("", {"start": "exit code 0: "}),
    ],
)
def test_exit_code_of_a_client_counts(script, steps):
    simulator = SimpleNamespace(root="", page="")
    command = [sys.executable, "-c", script]
    assert run.steps_of(run.World(simulator, simulator, "", Path()), command) == steps


def test_exit_code_of_a_command_counts():
    command = [sys.executable, "-c", "print('sent'); exit(4)"]
    assert run.by_shell({"send": (command, "sent")}) == {"send": "exit code 4: sent"}


def test_client_that_is_not_there(capsys):
    assert run.main(["curl", "wget"]) == 1
    assert "no client 'wget': use curl, openssl, " in capsys.readouterr().err


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
