"""microdps.aio runs the device under asyncio, on both interpreters, over real TLS."""

import json

import pytest

from bench.scripted_services import Dps, answer
from helpers import peers
from helpers.programs import run_program
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue

PERIOD_MS = 50


def blink(which, simulator, name, mode, host=None):
    return run_program(
        which,
        "blink.py",
        simulator.device(name),
        simulator.id_scope,
        name,
        host or simulator.dps,
        mode,
    )


def test_provisions_and_sends(simulator, which):
    result = blink(which, simulator, f"aio-{which.name}", "send")
    assert result.lines[:2] == [f"assigned aio-{which.name}", "sent 2"]


def test_can_be_cancelled_anywhere_and_stays_usable(simulator, which):
    name = f"aio-cancel-{which.name}"
    result = blink(which, simulator, name, "cancel")
    assert result.lines[:2] == [f"assigned {name}", "sent 2"]
    bodies = [json.loads(body) for _, body in simulator.messages(name)]
    assert [body for body in bodies if "i" in body] == [{"i": 1}, {"i": 2}]


def test_errors_are_the_same(simulator, which):
    result = blink(which, simulator, f"aio-error-{which.name}", "send", "dps.invalid")
    assert result.error[:2] == ["LinkError", "dns"]


@pytest.mark.parametrize("slow_ms", [400])
def test_other_task_keeps_running_while_a_slow_hub_answers(simulator, which, tmp_path, slow_ms):
    root = issue("slow root", ca=True)
    context = peers.server_context(tmp_path, root)
    peers.require_client(context, simulator.intermediate)
    name = f"aio-slow-{which.name}"
    identity = simulator.device(name)
    (identity / "roots.der").write_bytes(encoding.der(root.cert))

    def hub(connection):
        while peers.read_request(connection):
            # One byte at a time, slow_ms in all.
            text = answer("204")
            peers.drip(connection, text, slow_ms / 1000 / len(text))

    def dps(connection):
        service = Dps(polls=0)
        service.hub_port = hub_port
        while head := peers.read_request(connection):
            connection.sendall(service.respond(head))

    with (
        peers.listening(peers.tls(context, hub)) as hub_port,
        peers.listening(peers.tls(context, dps)) as dps_port,
    ):
        result = run_program(
            which, "blink.py", identity, "0ne1", name, f"localhost:{dps_port}", "send"
        )
    assert result.lines[1] == "sent 2"
    _, beats, longest_ms = result.lines[2].split()
    # Two messages of slow_ms each. A TLS handshake computes for some ms without a pause.
    assert int(beats) >= 2 * slow_ms // PERIOD_MS - 2
    # A call that blocks would stop the other task for a whole answer.
    assert int(longest_ms) < slow_ms * 3 // 4
