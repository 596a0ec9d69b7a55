"""Allocation over HTTPS, with three hubs: the first registration, and later ones."""

import dataclasses
import functools
import re

import pytest
import requests

from helpers.by_hand import enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.certs import encoding
from microdps_tools.simulator.process import running_simulator

HUBS = 3
MIGRATE = {"updateHubAssignment": True, "migrateDeviceData": True}
RESET = {"updateHubAssignment": True, "migrateDeviceData": False}
NEVER = {"updateHubAssignment": False, "migrateDeviceData": False}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """A simulator with three hubs and an enrollment group."""
    folder = tmp_path_factory.mktemp("three-hubs")
    with start_simulator(folder, f"--hubs={HUBS}") as at:
        yield enrolled(folder, at)


@pytest.fixture(scope="module")
def hubs(simulator):
    """The hubs' hosts, from the simulator's ready line."""
    ready = (simulator.state / "simulator.log").read_text()
    hosts = re.findall(r" hub=https://(\S+)", ready)
    assert len(set(hosts)) == HUBS
    assert hosts[0] == simulator.hub
    return hosts


def change(rest, **changes) -> requests.Response:
    """Replace the enrollment group, with other policies."""
    pem = encoding.pem(rest.simulator.intermediate.cert).decode()
    x509 = {"signingCertificates": {"primary": {"certificate": pem}}}
    attestation = {"type": "x509", "x509": x509}
    record = {"enrollmentGroupId": "group-01", "attestation": attestation, **changes}
    return rest("PUT", "enrollmentGroups/group-01", record, headers={"If-Match": "*"})


@pytest.fixture
def group(rest):
    """change() for the simulator with three hubs. The end of the test undoes it."""
    yield functools.partial(change, rest)
    assert change(rest).status_code == 200


def device(simulator, name):
    return enrolled_device(simulator, name)


def hub_and_substatus(operation) -> tuple[str, str]:
    state = operation["registrationState"]
    return state["assignedHub"], state["substatus"]


def test_hashed_spreads_devices_and_is_stable(simulator, hubs):
    devices = [device(simulator, f"hashed-{number}") for number in range(24)]
    first = [hub_and_substatus(one.provision()) for one in devices]
    assert {hub for hub, _ in first} == set(hubs)
    assert {why for _, why in first} == {"initialAssignment"}
    assert [hub_and_substatus(one.provision()) for one in devices] == first


def test_static_and_a_list_of_hubs(simulator, hubs, group):
    one = device(simulator, "static-01")
    for hub in hubs:
        assert group(allocationPolicy="static", iotHubs=[hub]).status_code == 200
        assert hub_and_substatus(one.provision())[0] == hub
    assert group(allocationPolicy="hashed", iotHubs=hubs[:1]).status_code == 200
    for number in range(6):
        assert hub_and_substatus(device(simulator, f"listed-{number}").provision())[0] == hubs[0]


@pytest.mark.parametrize(
    ("policy", "substatus"), [(MIGRATE, "deviceDataMigrated"), (RESET, "deviceDataReset")]
)
def test_device_moves_to_another_hub(simulator, hubs, group, policy, substatus):
    one = device(simulator, f"moves-{substatus.lower()}")
    group(allocationPolicy="static", iotHubs=[hubs[0]], reprovisionPolicy=policy)
    assert hub_and_substatus(one.provision()) == (hubs[0], "initialAssignment")
    assert one.send(hub=hubs[0]).status_code == 204
    assert one.send(hub=hubs[1]).status_code == 401
    group(allocationPolicy="static", iotHubs=[hubs[1]], reprovisionPolicy=policy)
    assert hub_and_substatus(one.provision()) == (hubs[1], substatus)
    assert one.send(hub=hubs[0]).status_code == 401
    assert one.send(hub=hubs[1]).status_code == 204
    assert hub_and_substatus(one.provision()) == (hubs[1], substatus)
    group(allocationPolicy="static", iotHubs=[hubs[0]], reprovisionPolicy=policy)
    assert hub_and_substatus(one.provision()) == (hubs[0], "reprovisionedToInitialAssignment")


def test_never_keeps_the_device_on_its_hub(simulator, hubs, group):
    one = device(simulator, "never-01")
    group(allocationPolicy="static", iotHubs=[hubs[2]])
    assert hub_and_substatus(one.provision()) == (hubs[2], "initialAssignment")
    group(allocationPolicy="static", iotHubs=[hubs[0]], reprovisionPolicy=NEVER)
    assert hub_and_substatus(one.provision()) == (hubs[2], "initialAssignment")
    assert one.send(hub=hubs[2]).status_code == 204


def test_registration_stays_assigning_for_a_while(tmp_path):
    with start_simulator(tmp_path, "--assign-after=60") as at:
        one = device(enrolled(tmp_path, at), "slow-01")
        assert one.provision()["status"] == "assigning"


@pytest.mark.parametrize(
    "changes",
    [
        {"allocationPolicy": "custom"},
        {"allocationPolicy": "nearest"},
        {"allocationPolicy": 7},
        {"allocationPolicy": "static"},
        {"iotHubs": ["nowhere.azure-devices.net"]},
        {"iotHubs": "localhost"},
        {"iotHubs": [7]},
        {"iotHubHostName": "nowhere.azure-devices.net"},
        {"reprovisionPolicy": 7},
        {"reprovisionPolicy": {"updateHubAssignment": "yes"}},
    ],
)
def test_bad_policy_is_refused(group, changes):
    answer = group(**changes)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 400004)


def test_hub_that_is_no_longer_linked(rest, tmp_path):
    """After a restart with other hubs: 400208, and a status of 200."""
    state = tmp_path / "state"
    with start_simulator(tmp_path, "--hubs=2") as at:
        running = enrolled(tmp_path, at)
        second = re.findall(r" hub=https://(\S+)", (state / "simulator.log").read_text())[1]
        answer = change(type(rest)(running), allocationPolicy="static", iotHubs=[second])
        assert answer.status_code == 200
        one = device(running, "linked-01")
        assert one.provision()["status"] == "assigned"
    with running_simulator(state, "--assign-after=0") as at:
        one.simulator = dataclasses.replace(running, dps=at["dps"], hub=at["hub"])
        failed = one.provision()
        assert (failed["status"], failed["registrationState"]["errorCode"]) == ("failed", 400208)
