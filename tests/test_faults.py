"""The device suffers the faults that the simulator plays on request, on both interpreters."""

import contextlib
import json

import pytest

from microdps_tools.simulator.store.store import Store

MESSAGES = 3


@pytest.fixture
def device(simulator, which, request):
    """Run a device under faults that are for it alone → Result, how often each struck, and what
    the hub has kept of it."""
    name = f"fault-{abs(hash(request.node.name)) % 10**9}"
    identity = simulator.device(name)

    def run(*faults, **given):
        path = f",path=/{name}/"
        with simulator.faults(*(f if "certificate" in f else f + path for f in faults)) as times:
            result = simulator.provision(which, identity, name, MESSAGES, **given)
            struck = times()
        with contextlib.closing(Store(simulator.state)) as store:
            kept = [json.loads(m[3])["i"] for m in store.messages.all() if m[1] == name]
        return result, struck, kept

    return run


@pytest.mark.parametrize(
    "faults",
    [
        ["all:split=1"],
        ["all:split=7,every=1"],
        ["all:slow=200", "dps:status=429,retry-after=1,times=1"],
        ["hub:status=503,retry-after=1,times=1", "dps:split=1"],
        ["dps:drop=0,skip=1,times=1"],  # the poll, which may be asked again
    ],
)
def test_job_is_done_all_the_same(device, faults):
    result, struck, kept = device(*faults)
    assert result.text == f"sent {MESSAGES}"
    assert kept == list(range(MESSAGES))
    assert all(struck)


def test_message_whose_answer_is_lost_is_not_sent_again(device):
    for size in (0, 9):
        result, struck, kept = device(f"hub:drop={size},times=1")
        assert result.error[0] == "OutcomeUnknown"
        assert struck == [1]
    assert kept == [0, 0]  # the hub had taken it, each time


def test_hub_that_refuses_once_is_registered_with_anew(device):
    result, struck, kept = device("hub:status=401,code=401003,times=1")
    assert result.text == f"sent {MESSAGES}"
    assert (struck, kept) == ([1], list(range(MESSAGES)))


def test_quota_waits_without_registering(device, simulator):
    result, struck, _ = device("hub:status=403,code=403002", timeout_ms=3000)
    assert result.error[:2] == ["ServiceError", "IotHubQuotaExceeded"]
    assert struck == [1]
    with contextlib.closing(Store(simulator.state)) as store:
        paths = [one["path"].partition("?")[0] for one in store.requests.all()]
    register = [path for path in paths if path.endswith("/register")]
    assert register.count(register[-1]) == 1


def test_never_assigned(device):
    result, _, kept = device("dps:never", timeout_ms=3000)
    assert (result.error[1], kept) == ("deadline", [])
    assert int(result.error[2]) < 6000


def test_failed_is_final_and_says_why(device):
    result, struck, kept = device("dps:failed=400207")
    assert result.error[:2] == ["ServiceError", "failed"]
    assert "400207" in result.text
    assert (struck, kept) == ([1], [])


@pytest.mark.parametrize(
    ("which_certificate", "word"),
    [("expired", "date"), ("unknown", "root"), ("host", "name")],
)
def test_wrong_server_certificate(device, which_certificate, word):
    result, struck, kept = device(f"dps:certificate={which_certificate}")
    assert result.error[0] == "LinkError"
    assert word in result.text
    assert (struck, kept) == ([1], [])


def test_redirect_in_a_loop(device, simulator):
    result, struck, kept = device(f"dps:redirect=https://{simulator.dps}/loop")
    assert result.error[0] in ("ServiceError", "ProtocolError")
    assert kept == []


def test_clock_of_the_service_far_off(device):
    result, _, kept = device("dps:skew=-864000")
    assert result.error[:2] == ["ServiceError", "401002"]
    assert "dates" in result.text
    assert kept == []
