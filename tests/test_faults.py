"""The device meets the faults that the simulator plays on request, on both interpreters."""

import json

import pytest

MESSAGES = 3


@pytest.fixture
def device(simulator, which, request):
    """A function that runs a new device, under faults for this device only.

    It returns the Result, how often each fault was triggered, and the numbers of the messages that
    the hub has accepted.
    """
    name = f"fault-{abs(hash(request.node.name)) % 10**9}"
    identity = simulator.device(name)

    def run(*faults, **given):
        path = f",path=/{name}/"
        with simulator.faults(*(f if "certificate" in f else f + path for f in faults)) as times:
            result = simulator.provision(which, identity, name, MESSAGES, **given)
            triggered = times()
        accepted = [json.loads(body)["i"] for _, body in simulator.messages(name)]
        return result, triggered, accepted

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
def test_all_messages_arrive_in_spite_of_faults(device, faults):
    result, triggered, accepted = device(*faults)
    assert result.text == f"sent {MESSAGES}"
    assert accepted == list(range(MESSAGES))
    assert all(triggered)


def test_message_whose_answer_is_lost_is_not_sent_again(device):
    for size in (0, 9):
        result, triggered, accepted = device(f"hub:drop={size},times=1")
        assert result.error[0] == "OutcomeUnknown"
        assert triggered == [1]
    assert accepted == [0, 0]  # the hub had accepted it, each time


def test_device_that_the_hub_refuses_registers_again(device):
    result, triggered, accepted = device("hub:status=401,code=401003,times=1")
    assert result.text == f"sent {MESSAGES}"
    assert (triggered, accepted) == ([1], list(range(MESSAGES)))


def test_quota_waits_without_registering(device, simulator):
    result, triggered, _ = device("hub:status=403,code=403002", timeout_ms=3000)
    assert result.error[:2] == ["ServiceError", "IotHubQuotaExceeded"]
    assert triggered == [1]
    paths = [one["path"].partition("?")[0] for one in simulator.requests("/register")]
    register = [path for path in paths if path.endswith("/register")]
    assert register.count(register[-1]) == 1


def test_never_assigned(device):
    result, _, accepted = device("dps:never", timeout_ms=3000)
    assert (result.error[1], accepted) == ("deadline", [])
    assert int(result.error[2]) < 6000


def test_failed_is_final_and_says_why(device):
    result, triggered, accepted = device("dps:failed=400207")
    assert result.error[:2] == ["ServiceError", "failed"]
    assert "400207" in result.text
    assert (triggered, accepted) == ([1], [])


@pytest.mark.parametrize(
    ("which_certificate", "word"),
    [("expired", "date"), ("unknown", "root"), ("host", "name")],
)
def test_wrong_server_certificate(device, which_certificate, word):
    result, triggered, accepted = device(f"dps:certificate={which_certificate}")
    assert result.error[0] == "LinkError"
    assert word in result.text
    assert (triggered, accepted) == ([1], [])


def test_redirect_in_a_loop(device, simulator):
    result, triggered, accepted = device(f"dps:redirect=https://{simulator.dps}/loop")
    assert result.error[0] in ("ServiceError", "ProtocolError")
    assert accepted == []


def test_service_whose_clock_is_wrong(device):
    result, _, accepted = device("dps:skew=-864000")
    assert result.error[:2] == ["ServiceError", "401002"]
    assert "dates" in result.text
    assert accepted == []
