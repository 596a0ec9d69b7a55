"""Batches: several messages in one request."""

import base64
import json
import uuid

import pytest

from helpers.by_hand import enrolled_device
from microdps_tools.simulator.hub.batch import BATCH_LIMIT, BATCH_TYPE


@pytest.fixture
def device(simulator):
    """A device of the enrolled group, provisioned."""
    device = enrolled_device(simulator, f"batch-{uuid.uuid4()}")
    device.provision()
    return device


def refused(answer, status, name) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["iothub-errorcode"] == name
    assert answer.json()["Message"].startswith(f"ErrorCode:{name};")


BATCH = {"Content-Type": BATCH_TYPE}


def test_messages_of_a_batch(device):
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
def test_bad_batch_is_refused_as_a_whole(device, batch):
    refused(device.send(data=batch, headers=BATCH), 400, "ArgumentInvalid")
    assert device.messages() == []


def test_batch_that_is_too_large(device):
    half = {"body": "x" * (BATCH_LIMIT // 2), "base64Encoded": False}
    more = {"body": "", "base64Encoded": False, "properties": {"iothub-app-a": "x"}}
    answer = device.send(data=json.dumps([half, half, more]), headers=BATCH)
    assert answer.status_code == 413
    assert device.messages() == []
