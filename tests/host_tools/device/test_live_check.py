"""live-check against all kinds of hub, and against a server that is not DPS."""

import json
import re

import pytest

from helpers.simulators import enrolled, start_simulator
from microdps_tools.device.config import write_config, write_identity


def folder(simulator, name, tmp_path, **changes):
    """A device's folder for a simulator."""
    identity = simulator.device(name).parent.parent
    write_identity(tmp_path, identity, str(simulator.root))
    settings = {"id_scope": simulator.id_scope, "registration_id": name, "host": simulator.dps}
    write_config(tmp_path, settings | changes)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "asks", "transport"),
    [
        ("handshake", "in the first handshake; HTTP/1.1 405", "HTTPS"),
        ("renegotiate", "after the first request, by renegotiation; HTTP/1.1 405", "MQTT"),
        ("unauthorized", "not at all; HTTP/1.1 405", "MQTT"),
        ("close", "not at all; closed without an answer", "MQTT"),
    ],
)
def test_kinds_of_hub(command, tmp_path, kind, asks, transport):
    with start_simulator(tmp_path / "s", "--hub-certificate", kind) as at:
        simulator = enrolled(tmp_path / "s", at)
        done = command("live-check", folder(simulator, "checked", tmp_path / "device"))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"DPS {at['dps']}: asks for the certificate in the first handshake"
    assert lines[1] == "registering checked with DPS: this is one registration"
    assert lines[2] == f"assigned to {at['hub']} as checked"
    assert f"HTTPS: asks for the certificate {asks}" in lines[3]
    assert lines[4].endswith(": accepts the device")
    assert lines[5] == f"a board will send by {transport}"


def test_report_has_what_was_seen_and_no_id(command, simulator, tmp_path):
    made = folder(simulator, "reported-7", tmp_path / "device")
    file = tmp_path / "report.json"
    done = command("live-check", made, "--report", file)
    assert done.code == 0, done.err
    text = file.read_text()
    for secret in ("reported-7", simulator.id_scope, simulator.id_scope.upper()):
        assert secret.lower() not in text.lower()
    steps = {step["step"]: step for step in json.loads(text)["steps"]}
    dps, hub = steps["DPS over HTTPS"], steps["hub over HTTPS"]
    for seen in (dps, hub):
        assert seen["asks"] == "in the first handshake"
        assert seen["tls"]["version"] == "TLSv1.2"
        assert seen["tls"]["cipher"]
        assert seen["tls"]["issuers"]
        times = [seen["times_ms"][name] for name in ("connected", "handshake", "answer")]
        assert times == sorted(times)
        assert seen["status_line"].startswith("HTTP/1.1 4")
        assert any(header.lower().startswith("content-type") for header in seen["headers"])
    assert (steps["registration"]["status"], steps["hub over MQTT"]["error"]) == ("assigned", "")
    assert steps["result"]["transport"] == "https"
    assert re.search(r"PUT .*<registration_id>/register: 202 in \d+ ms", text)


def test_report_of_a_check_that_fails(command, simulator, tmp_path):
    made = folder(simulator, "reported-8", tmp_path / "device")
    write_config(made, {"registration_id": "somebody-else"})
    file = tmp_path / "report.json"
    assert command("live-check", made, "--report", file).code == 1
    text = file.read_text()
    assert "somebody-else" not in text
    (failed,) = [step for step in json.loads(text)["steps"] if step["step"] == "failed"]
    assert "HTTP 401" in failed["error"] and "tracking ID <guid>" in failed["error"]


def test_transport_that_cannot_work_is_reported(command, late_simulator, tmp_path):
    done = command("live-check", folder(late_simulator, "by-https", tmp_path, transport="https"))
    assert done.code == 1
    assert "which stock MicroPython refuses" in done.err


def test_host_that_is_not_dps(command, simulator, tmp_path):
    done = command("live-check", folder(simulator, "x", tmp_path, host="localhost:1"))
    assert done.refusal.startswith("microdps: localhost:1: no TLS connection")


def test_device_that_is_not_enrolled(command, simulator, tmp_path):
    made = folder(simulator, "checked-2", tmp_path)
    write_config(made, {"registration_id": "somebody-else"})
    done = command("live-check", made)
    assert done.code == 1
    assert "the certificate was not accepted" in done.err


def test_folder_without_a_device(command, tmp_path):
    assert "config.json" in command("live-check", tmp_path).refusal
