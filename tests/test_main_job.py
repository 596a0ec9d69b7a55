"""The main job of the device, end to end, over real TLS, on both interpreters."""

import json

import pytest

from helpers.simulators import enrolled
from microdps_tools.certs.certificate_folder import make_chain
from microdps_tools.certs.making import issue
from microdps_tools.simulator.process import running_simulator


def test_chain_and_messages_arrive_as_they_were_sent(simulator, which):
    name = f"chain-{which.name}"
    result = simulator.provision(which, simulator.device(name), name, messages=3)
    assert result.lines == [f"assigned {simulator.hub} {name} initialAssignment", "sent 3"]
    sent = simulator.messages(name)
    assert [json.loads(body) for _, body in sent] == [
        {"temperature": 30, "i": i} for i in range(3)
    ]
    assert sent[0][0] == {"content-type": "application/json", "content-encoding": "utf-8"}
    chains = [request["chain"] for request in simulator.requests(f"/{name}/")]
    assert len(chains) == 5
    assert all(chain == [name, "microdps test intermediate"] for chain in chains)


@pytest.mark.parametrize("key_type", ["rsa-2048", "rsa-4096"])
def test_rsa_keys(simulator, which, key_type):
    name = f"{key_type}-{which.name}"
    identity = simulator.device(name, key_type=key_type)
    assert simulator.provision(which, identity, name).lines[-1] == "sent 1"


def test_device_waits_for_retry_after(tmp_path, micropython):
    make_chain("slow", tmp_path / "certs", "ec-p256", 30, False)
    with running_simulator(tmp_path / "state", "--retry-after", "3", "--assign-after", "0") as at:
        simulator = enrolled(tmp_path, at)
        assert simulator.provision(micropython, simulator.device("slow"), "slow").lines
        times = {request["method"]: request["at"] for request in simulator.requests("/slow/")}
    assert 3.0 <= times["GET"] - times["PUT"] < 5


def test_hub_that_asks_late_gets_its_own_error(late_simulator, which):
    name = f"late-{which.name}"
    result = late_simulator.provision(which, late_simulator.device(name), name, transport="https")
    assert result.lines[0].startswith("assigned ")
    assert result.error[:2] == ["LinkError", "late-certificate"]
    assert "asks for the certificate late, which stock MicroPython refuses" in result.text
    assert late_simulator.messages(name) == []


def test_leaf_without_its_issuer_is_refused(simulator, which):
    pair = issue(f"alone-{which.name}", simulator.intermediate)
    identity = simulator.write_identity(f"alone-{which.name}", pair)
    result = simulator.provision(which, identity, f"alone-{which.name}")
    assert result.error[:2] == ["ServiceError", "401002"]
    assert "cert.der has every issuer up to the enrolled certificate" in result.text


def test_forged_leaf_with_the_right_names_is_refused(simulator, which):
    """Its issuer has the right name, but another key. The true issuer is also in the chain."""
    true = simulator.intermediate
    false = issue("microdps test intermediate", ca=True)
    pair = issue(f"forged-{which.name}", false)
    for issuers in ([false.cert], [true.cert], [false.cert, true.cert]):
        identity = simulator.write_identity(f"forged-{which.name}", pair, issuers)
        result = simulator.provision(which, identity, f"forged-{which.name}")
        assert result.error[:2] == ["ServiceError", "401002"]
