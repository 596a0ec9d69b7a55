"""Device twins and direct methods, over MQTT."""

import concurrent.futures
import json
import uuid

import pytest
import requests

from helpers.by_hand import enrolled_device
from helpers.dps_calls import Caller, pem_of, put
from helpers.raw_mqtt import hub_client, publish_packet, rid_of
from microdps_tools.simulator.hub.twin import SIZE_LIMIT


@pytest.fixture
def name(simulator):
    """A provisioned device."""
    name = f"twin-{uuid.uuid4()}"
    enrolled_device(simulator, name).provision()
    return name


# Twins.

GET = "$iothub/twin/GET/?$rid={}"
PATCH = "$iothub/twin/PATCH/properties/reported/?$rid={}"


def test_twin(simulator, name):
    with hub_client(simulator, name) as client:
        assert client.subscribe("$iothub/twin/res/#", qos=0) == [0]
        topic, twin = client.ask(GET.format("a1"))
        assert topic == "$iothub/twin/res/200/?$rid=a1"
        assert twin == {"desired": {"$version": 1}, "reported": {"$version": 1}}
        patch = b'{"a": {"b": 1, "c": [1]}, "d": null}'
        topic, nothing = client.ask(PATCH.format("7"), patch)
        assert (topic, nothing) == ("$iothub/twin/res/204/?$rid=7&$version=2", None)
        client.ask(PATCH.format("8"), b'{"a": {"b": null}}')
        reported = client.ask(GET.format("9"))[1]["reported"]
        assert reported == {"a": {"c": [1]}, "$version": 3}
    shown = simulator.admin("GET", f"twins?deviceId={name}")
    assert shown["reported"] == {"a": {"c": [1]}}


def test_desired_properties_reach_the_device(simulator, name):
    with hub_client(simulator, name) as client:
        client.subscribe("$iothub/twin/PATCH/properties/desired/#", "$iothub/twin/res/#")
        call = {"deviceId": name, "desired": {"interval": 5, "old": None}}
        simulator.admin("POST", "twins", call)
        topic, payload, *_ = client.message()
        assert topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
        assert json.loads(payload) == {"interval": 5, "old": None, "$version": 2}
        assert client.ask(GET.format(1))[1]["desired"] == {"interval": 5, "$version": 2}


@pytest.mark.parametrize(
    "patch",
    [
        b"",
        b"[]",
        b"{",
        b'{"a": NaN}',
        b'{"$version": 1}',
        b'{"a.b": 1}',
        b'{"a b": 1}',
        json.dumps({"a": "x" * 5000}).encode(),
        json.dumps({f"a{n}": "x" * 4000 for n in range(SIZE_LIMIT // 4000 + 1)}).encode(),
        b'{"a":' * 12 + b"1" + b"}" * 12,
        b"[" * 100_000,
    ],
)
def test_patch_that_a_twin_does_not_take(simulator, name, patch):
    with hub_client(simulator, name) as client:
        client.subscribe("$iothub/twin/res/#")
        topic, body = client.ask(PATCH.format("x"), patch)
        assert topic == "$iothub/twin/res/400/?$rid=x"
        assert body["message"]
        assert client.ask(GET.format("y"))[1]["reported"] == {"$version": 1}


def test_twin_of_a_megabyte_closes_the_connection(simulator, name):
    with hub_client(simulator, name) as client:
        client.subscribe("$iothub/twin/res/#")
        data = json.dumps({"a": "x" * 2**20}).encode()
        client.send(publish_packet(PATCH.format("x"), data, 1))
        assert client.is_closed()


def test_answers_come_only_to_those_who_subscribed(simulator, name):
    with hub_client(simulator, name) as client:
        client.publish(GET.format("1"))
        assert client.acknowledged() == 1
        client.ping()


def test_initial_twin_of_the_enrollment(simulator, rest):
    name = f"twin-{uuid.uuid4()}"
    device = Caller(simulator, name)
    twin = {"tags": {"floor": 2}, "properties": {"desired": {"interval": 9}}}
    put(rest, "enrollments", name, pem_of(device), initialTwin=twin)
    assert device.register().status_code == 202
    shown = simulator.admin("GET", f"twins?deviceId={name}")
    assert (shown["tags"], shown["desired"]) == ({"floor": 2}, {"interval": 9})


# Direct methods.


def test_direct_method(simulator, name):
    with (
        hub_client(simulator, name) as client,
        concurrent.futures.ThreadPoolExecutor(1) as thread,
    ):
        client.subscribe("$iothub/methods/POST/#")
        call = {"deviceId": name, "method": "blink", "payload": {"times": 3}}
        caller = thread.submit(simulator.admin, "POST", "methods", call)
        topic, payload, *_ = client.message()
        rid = rid_of(topic)
        assert topic == f"$iothub/methods/POST/blink/?$rid={rid}"
        assert json.loads(payload) == {"times": 3}
        client.publish(f"$iothub/methods/res/207/?$rid={rid}", b'{"done": true}')
        assert caller.result(20) == {"status": 207, "payload": {"done": True}}
        client.publish(f"$iothub/methods/res/200/?$rid={rid}", b"{}", 2)  # too late
        assert [client.acknowledged(), client.acknowledged()] == [1, 2]
        client.ping()


def test_method_without_an_answer(simulator, name):
    def call(**given):
        body = {"deviceId": name, "method": "blink", "timeoutS": 0.2, **given}
        return requests.post(f"{simulator.page}admin/methods", json=body, timeout=20)

    assert call().status_code == 404
    with hub_client(simulator, name) as client:
        assert call().status_code == 404  # not subscribed
        client.subscribe("$iothub/methods/POST/#")
        answer = call()
        assert (answer.status_code, "in time" in answer.text) == (504, True)
        assert call(method="a/b").status_code == 400
        assert call(timeoutS=0).status_code == 400
