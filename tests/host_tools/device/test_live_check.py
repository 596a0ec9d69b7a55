"""live-check against all kinds of hub, and against a server that is not DPS."""

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
