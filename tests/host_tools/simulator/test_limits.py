"""The service's limits, alone and over real HTTPS."""

import uuid

import pytest
import requests

from helpers.by_hand import TIMEOUT_S, enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.simulator.limits import Limit, Limits


@pytest.fixture
def device(simulator):
    """A device of the enrolled group, provisioned."""
    device = enrolled_device(simulator, f"limits-{uuid.uuid4()}")
    device.provision()
    return device


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
    assert list(limit._calls) == ["a"]  # b was deleted


def test_limits_that_are_not_in_force():
    limits = Limits(in_force=False)
    assert {limits.wait_s(limits.polls, "a") for _ in range(100)} == {0}


def test_five_polls_in_ten_seconds_and_no_more(device):
    operation = device.register().json()["operationId"]
    answers = [device.poll(operation) for _ in range(5)]  # the first poll was made by provision()
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
