"""Cloud-to-device messages, over real HTTPS."""

import re
import uuid

import pytest

from helpers.by_hand import Device, enrolled_device
from microdps_tools.simulator.hub.device_api import BODY_LIMIT, MAX_DELIVERIES, QUEUE_LIMIT


@pytest.fixture
def device(simulator):
    """A device of the enrolled group, provisioned."""
    return make(simulator)


def make(simulator) -> Device:
    name = f"bound-{uuid.uuid4()}"
    device = enrolled_device(simulator, name)
    device.provision()
    return device


def enqueue(device, body, **given) -> None:
    device.simulator.admin("POST", "devicebound", {"deviceId": device.name, "body": body, **given})


def ask(device, method="GET", end="", **given):
    path = f"devices/{device.name}/messages/devicebound{end}"
    return device.send(method=method, path=path, data=None, **given)


def refused(answer, status, name) -> None:
    """Check an error answer: status and error name."""
    assert answer.status_code == status, answer.text
    assert answer.headers["iothub-errorcode"] == name
    assert answer.json()["Message"].startswith(f"ErrorCode:{name};")


def test_nothing_waits(device):
    answer = ask(device)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "etag" not in answer.headers


def test_receive_and_complete(device):
    enqueue(device, "first", properties={"Level": "High"})
    enqueue(device, "second")
    answer = ask(device)
    assert (answer.status_code, answer.content) == (200, b"first")
    assert re.fullmatch('"[0-9a-f-]{36}"', answer.headers["etag"])
    assert answer.headers["iothub-app-level"] == "High"
    assert answer.headers["iothub-to"] == f"/devices/{device.name}/messages/deviceBound"
    assert answer.headers["iothub-deliverycount"] == "0"
    assert answer.headers["content-length"] == "5"
    lock = answer.headers["etag"].strip('"')
    assert ask(device, "DELETE", f"/{lock}", headers={"If-Match": lock}).status_code == 204
    answer = ask(device)
    assert answer.content == b"second"
    assert ask(device).status_code == 204  # the only message left is locked


def test_rejected_message_is_deleted(device):
    enqueue(device, "x")
    lock = ask(device).headers["etag"].strip('"')
    path = f"devices/{device.name}/messages/devicebound/{lock}"
    assert (
        device._ask(
            "DELETE",
            device.simulator.hub,
            f"{path}?reject&api-version=2020-03-13",
        ).status_code
        == 204
    )
    assert ask(device).status_code == 204


def test_abandoned_message_is_delivered_up_to_ten_times(device):
    enqueue(device, "x")
    for count in range(MAX_DELIVERIES):
        answer = ask(device)
        assert answer.headers["iothub-deliverycount"] == str(count)
        lock = answer.headers["etag"].strip('"')
        assert ask(device, "POST", f"/{lock}/abandon").status_code == 204
    assert ask(device).status_code == 204


def test_lock_is_lost_after_a_minute(device):
    enqueue(device, "x")
    lock = ask(device).headers["etag"].strip('"')
    with device.simulator.faults("hub:skew=61"):
        refused(ask(device, "DELETE", f"/{lock}"), 412, "DeviceMessageLockLost")
        assert ask(device).headers["iothub-deliverycount"] == "1"


@pytest.mark.parametrize("lock", ["x", "5f0f1d2e-0000-4000-8000-000000000000", "%22%22"])
def test_unknown_lock(device, lock):
    enqueue(device, "x")
    refused(ask(device, "DELETE", f"/{lock}"), 412, "DeviceMessageLockLost")
    refused(ask(device, "POST", f"/{lock}/abandon"), 412, "DeviceMessageLockLost")
    assert ask(device).content == b"x"


def test_expired_message(device):
    enqueue(device, "x", expiryS=100)
    with device.simulator.faults("hub:skew=101"):
        assert ask(device).status_code == 204


def test_device_cannot_receive_messages_for_another(simulator, device):
    other = make(simulator)
    enqueue(other, "secret")
    path = f"devices/{other.name}/messages/devicebound"
    refused(device.send(method="GET", path=path, data=None), 401, "IotHubUnauthorizedAccess")
    lock = ask(other).headers["etag"].strip('"')
    refused(ask(device, "DELETE", f"/{lock}"), 412, "DeviceMessageLockLost")


def test_no_more_than_fifty_messages_wait(device):
    for number in range(QUEUE_LIMIT):
        enqueue(device, str(number))
    with pytest.raises(AssertionError, match="wait for the device already"):
        enqueue(device, "one more")
    for number in range(QUEUE_LIMIT):
        assert ask(device).content == str(number).encode()


def test_message_over_64_kb(device):
    enqueue(device, "x" * BODY_LIMIT)
    assert len(ask(device).content) == BODY_LIMIT
    with pytest.raises(AssertionError, match="at most 64 KB"):
        enqueue(device, "x" * (BODY_LIMIT + 1))
