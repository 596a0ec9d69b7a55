"""Messages from the cloud to a device, batches, limits and disabled devices, over real HTTPS."""

import base64
import json
import re
import uuid

import pytest
import requests

from helpers.by_hand import TIMEOUT_S, Device, enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.simulator.hub.batch import BATCH_LIMIT, BATCH_TYPE
from microdps_tools.simulator.hub.device_api import BODY_LIMIT, MAX_DELIVERIES, QUEUE_LIMIT
from microdps_tools.simulator.limits import Limit, Limits

BATCH = {"Content-Type": BATCH_TYPE}


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
    assert ask(device).status_code == 204  # the only one left is locked


def test_reject_is_the_end_of_it(device):
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


def test_abandoned_comes_again_up_to_ten_times(device):
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
def test_lock_that_is_none(device, lock):
    enqueue(device, "x")
    refused(ask(device, "DELETE", f"/{lock}"), 412, "DeviceMessageLockLost")
    refused(ask(device, "POST", f"/{lock}/abandon"), 412, "DeviceMessageLockLost")
    assert ask(device).content == b"x"


def test_message_that_has_expired(device):
    enqueue(device, "x", expiryS=100)
    with device.simulator.faults("hub:skew=101"):
        assert ask(device).status_code == 204


def test_device_cannot_take_what_waits_for_another(simulator, device):
    other = make(simulator)
    enqueue(other, "secret")
    path = f"devices/{other.name}/messages/devicebound"
    refused(device.send(method="GET", path=path, data=None), 401, "IotHubUnauthorizedAccess")
    lock = ask(other).headers["etag"].strip('"')
    refused(ask(device, "DELETE", f"/{lock}"), 412, "DeviceMessageLockLost")


def test_fifty_may_wait_and_no_more(device):
    for number in range(QUEUE_LIMIT):
        enqueue(device, str(number))
    with pytest.raises(AssertionError, match="wait for the device already"):
        enqueue(device, "one more")
    for number in range(QUEUE_LIMIT):
        assert ask(device).content == str(number).encode()


def test_message_over_64_kb_for_a_device(device):
    enqueue(device, "x" * BODY_LIMIT)
    assert len(ask(device).content) == BODY_LIMIT
    with pytest.raises(AssertionError, match="at most 64 KB"):
        enqueue(device, "x" * (BODY_LIMIT + 1))


def test_disabled_device_is_refused_until_it_is_enabled(device):
    device.simulator.admin("POST", "devices", {"deviceId": device.name, "status": "disabled"})
    refused(device.send(), 403, "DeviceDisabled")
    device.provision()  # does not change that
    refused(device.send(), 403, "DeviceDisabled")
    device.simulator.admin("POST", "devices", {"deviceId": device.name, "status": "enabled"})
    assert device.send().status_code == 204


def test_batch(device):
    batch = [
        {"body": base64.b64encode(b"\0\xff").decode(), "properties": {"iothub-app-K": "v"}},
        {"body": "plain ä", "base64Encoded": False},
    ]
    assert device.send(data=json.dumps(batch), headers=BATCH).status_code == 204
    assert device.messages() == [({"iothub-app-k": "v"}, b"\0\xff"), ({}, "plain ä".encode())]


@pytest.mark.parametrize(
    "batch",
    [
        "",
        "{}",
        "[]",
        "[7]",
        '[{"body": 7}]',
        '[{"properties": {}}]',
        '[{"body": "no base64!"}]',
        '[{"body": "", "properties": 7}]',
        '[{"body": "", "properties": {"a": 7}}]',
        '[{"body": "eA=="}, {"body": "no base64!"}]',
        "[" * 100_000,
    ],
)
def test_batch_that_is_none_is_refused_as_a_whole(device, batch):
    refused(device.send(data=batch, headers=BATCH), 400, "ArgumentInvalid")
    assert device.messages() == []


def test_batch_that_is_too_large(device):
    half = {"body": "x" * (BATCH_LIMIT // 2), "base64Encoded": False}
    more = {"body": "", "base64Encoded": False, "properties": {"iothub-app-a": "x"}}
    answer = device.send(data=json.dumps([half, half, more]), headers=BATCH)
    assert answer.status_code == 413
    assert device.messages() == []


def test_newer_error_body(tmp_path):
    with start_simulator(tmp_path, "--hub-errors=new") as at:
        running = enrolled(tmp_path, at)
        device = enrolled_device(running, "new-01")
        answer = device.send()
        assert answer.status_code == 401
        body = answer.json()
        assert list(body) == ["errorCode", "trackingId", "message", "timestampUtc", "info"]
        assert (body["errorCode"], body["info"]) == (401002, None)
        assert body["trackingId"] == answer.headers["x-ms-request-id"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_limit_counts_over_a_window_for_each_key():
    clock = Clock()
    limit = Limit(2, 10, clock)
    assert [limit.wait_s("a"), limit.wait_s("a"), limit.wait_s("a")] == [0, 0, 10]
    assert limit.wait_s("b") == 0
    clock.now = 9.5
    assert limit.wait_s("a") == 1
    clock.now = 10
    assert [limit.wait_s("a"), limit.wait_s("a"), limit.wait_s("a")] == [0, 0, 10]
    clock.now = 100
    limit.wait_s("a")
    assert list(limit._calls) == ["a"]  # b is forgotten


def test_limits_that_are_not_in_force():
    limits = Limits(in_force=False)
    assert {limits.wait_s(limits.polls, "a") for _ in range(100)} == {0}


def test_five_polls_in_ten_seconds_and_no_more(device):
    operation = device.register().json()["operationId"]
    answers = [device.poll(operation) for _ in range(5)]  # one was made when it was provisioned
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert answers[4].json()["errorCode"] == 429001
    assert 0 < int(answers[4].headers["retry-after"]) <= 10


def test_thousand_registrations_in_a_minute_and_no_more(tmp_path):
    with start_simulator(tmp_path) as at, requests.Session() as session:
        running = enrolled(tmp_path, at)
        device = enrolled_device(running, "busy-01")
        url = f"https://{at['dps']}/{at['id_scope']}/registrations/busy-01/register"
        given = {"cert": device.cert, "verify": at["root"], "timeout": TIMEOUT_S}
        answers = [session.put(f"{url}?api-version=2021-06-01", **given) for _ in range(1001)]
    assert {answer.status_code for answer in answers[:1000]} == {202}
    last = answers[1000]
    assert (last.status_code, last.json()["errorCode"]) == (429, 429001)
    assert 0 < int(last.headers["retry-after"]) <= 60


def test_no_limits(tmp_path):
    with start_simulator(tmp_path, "--no-limits") as at:
        running = enrolled(tmp_path, at)
        device = enrolled_device(running, "free-01")
        operation = device.register().json()["operationId"]
        assert {device.poll(operation).status_code for _ in range(20)} == {200}
