"""The hub's MQTT in full: messages for devices, sessions, twins, methods, wills, other topics."""

import concurrent.futures
import json
import uuid

import pytest

from helpers.by_hand import enrolled_device
from helpers.raw_mqtt import hub_client, publish_packet, rid_of
from microdps_tools.simulator.hub.mqtt_packets import Kind, packet
from microdps_tools.simulator.hub.twin import SIZE_LIMIT


@pytest.fixture
def name(simulator):
    """A provisioned device."""
    name = f"full-{uuid.uuid4()}"
    enrolled_device(simulator, name).provision()
    return name


@pytest.fixture
def tell(simulator, name):
    """Leave a message for the device."""

    def send(body: str, **more):
        return simulator.admin("POST", "devicebound", {"deviceId": name, "body": body, **more})

    return send


def inbox(name) -> str:
    return f"devices/{name}/messages/devicebound/#"


def outbox(name) -> str:
    return f"devices/{name}/messages/events/"


def waiting(simulator, name) -> int:
    """How many messages wait for the device, without one that is left to ask."""
    call = {"deviceId": name, "body": "count", "expiryS": 0.001}
    return simulator.admin("POST", "devicebound", call)["waiting"] - 1


# Messages for the device.


def test_puback_completes_a_message(simulator, name, tell):
    with hub_client(simulator, name) as client:
        assert client.subscribe(inbox(name)) == [1]
        tell("hello", properties={"Level": "a&b"}, messageId="m 1", contentType="text/plain")
        topic, body, packet_id, flags = client.message()
        bag = topic.removeprefix(inbox(name)[:-1])
        assert set(bag.split("&")) == {
            f"%24.to=%2Fdevices%2F{name}%2Fmessages%2FdeviceBound",
            "level=a%26b",
            "%24.mid=m%201",
            "%24.ct=text%2Fplain",
        }
        assert (body, flags) == (b"hello", 2)
        client.puback(packet_id)
        client.ping()
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        client.ping()


def test_message_without_puback_comes_again(simulator, name, tell):
    tell("first")
    for number in range(10):
        with hub_client(simulator, name) as client:
            client.subscribe(inbox(name))
            _, body, _, flags = client.message()
            assert body == b"first"
            assert flags == (2 if number == 0 else 0xA)  # with DUP
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        client.ping()  # after ten deliveries it is dead-lettered
    assert any("dead-lettered" in one["error"] for one in simulator.requests(name))


def test_message_with_qos_0_is_complete_when_it_is_sent(simulator, name, tell):
    with hub_client(simulator, name) as client:
        assert client.subscribe(inbox(name), qos=0) == [0]
        tell("once")
        assert client.message()[1:] == (b"once", 0, 0)
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        client.ping()


def test_messages_come_in_order_and_all_of_them(simulator, name, tell):
    for number in range(50):
        tell(str(number))
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        for number in range(50):
            _, body, packet_id, _ = client.message()
            assert body == str(number).encode()
            client.puback(packet_id)
        client.ping()


def test_message_on_its_way_by_mqtt_is_not_received_by_https(simulator, name, tell):
    device = enrolled_device_again(simulator, name)
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        tell("one")
        client.message()
        path = f"devices/{name}/messages/devicebound"
        assert device.send(path=path, method="GET").status_code == 204


def enrolled_device_again(simulator, name):
    from helpers.by_hand import Device

    return Device(simulator, name, simulator.made(name))


def test_acknowledgement_of_what_was_not_sent(simulator, name, tell):
    with hub_client(simulator, name) as client:
        client.subscribe(inbox(name))
        for packet_id in (0, 1, 65535):
            client.puback(packet_id)
        tell("still here")
        assert client.message()[1] == b"still here"


def test_wildcard_of_azure_sdk_for_c(simulator, name, tell):
    with hub_client(simulator, name) as client:
        assert client.subscribe("devices/+/messages/devicebound/#") == [1]
        tell("hello")
        assert client.message()[0].startswith(inbox(name)[:-1])


# Sessions.


def test_session_keeps_its_subscription(simulator, name, tell):
    with hub_client(simulator, name, clean=False) as client:
        assert client.present == 0
        client.subscribe(inbox(name))
    tell("meanwhile")
    with hub_client(simulator, name, clean=False) as client:
        assert client.present == 1
        assert client.message()[1] == b"meanwhile"
    with hub_client(simulator, name) as client:
        assert client.present == 0
        client.ping()
    with hub_client(simulator, name, clean=False) as client:
        assert client.present == 0
        client.ping()


def test_unsubscribe(simulator, name, tell):
    with hub_client(simulator, name, clean=False) as client:
        client.subscribe(inbox(name))
        text = inbox(name).encode()
        body = b"\0\3" + len(text).to_bytes(2, "big") + text
        client.send(packet(Kind.UNSUBSCRIBE, body, 2))
        assert client.read() == (Kind.UNSUBACK, 0, b"\0\3")
        tell("nobody hears this")
        client.ping()


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
    from helpers.dps_calls import Caller as DpsDevice
    from helpers.dps_calls import pem_of, put

    name = f"twin-{uuid.uuid4()}"
    device = DpsDevice(simulator, name)
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
    import requests

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


# Other topics, and telemetry that is on its way.


@pytest.mark.parametrize(
    "topic",
    ["$iothub/credentials/POST/issueCertificate/?$rid=1", "devices/{}/modules/m/messages/events/"],
)
def test_topic_that_is_not_simulated_is_ignored(simulator, name, topic):
    topic = topic.format(name)
    with hub_client(simulator, name) as client:
        client.send(
            publish_packet(outbox(name), b"1", 1)
            + publish_packet(topic, b"{}", 2)
            + publish_packet(outbox(name), b"3", 3)
        )
        assert [client.acknowledged(), client.acknowledged()] == [1, 3]
        client.ping()
    assert [body for _, body in simulator.messages(name)] == [b"1", b"3"]
    assert any("not simulated: ignored" in one["error"] for one in simulator.requests(topic))


@pytest.mark.parametrize(
    "topic_filter", ["#", "anything", "$iothub/#", "devices/other/messages/devicebound/#"]
)
def test_filter_that_is_not_simulated_is_refused(simulator, name, topic_filter):
    with hub_client(simulator, name) as client:
        assert client.subscribe(topic_filter, inbox(name)) == [0x80, 1]
        client.ping()


@pytest.mark.parametrize(
    "last",
    [
        publish_packet("anything", b"{}", 9),
        publish_packet("devices/x/messages/events/", b"{}", 9, flags=4),
        packet(Kind.SUBSCRIBE, b"\0\1", 2),
        b"\xf0\0",
        packet(Kind.CONNECT, b""),
    ],
)
def test_violation_takes_no_telemetry_with_it(simulator, name, last):
    data = b"".join(publish_packet(outbox(name), b"%d" % n, n) for n in range(1, 21))
    with hub_client(simulator, name) as client:
        client.send(data + last)
        assert [client.acknowledged() for _ in range(20)] == list(range(1, 21))
        assert client.is_closed()
    assert len(simulator.messages(name)) == 20


def test_retained_message_is_passed_on_with_a_property(simulator, name):
    with hub_client(simulator, name) as client:
        client.publish(outbox(name), b"kept", 5, flags=1)
        assert client.acknowledged() == 5
    assert simulator.messages(name) == [({"iothub-app-mqtt-retain": "true"}, b"kept")]


def test_last_will(simulator, name):
    will = (f"{outbox(name)}a=b", b"gone")
    with hub_client(simulator, name, will=will) as client:
        client.send(packet(Kind.DISCONNECT))
        assert client.is_closed()
    assert simulator.messages(name) == []
    with hub_client(simulator, name, will=will):
        pass
    with hub_client(simulator, name) as client:
        client.ping()
    properties = {"iothub-app-a": "b", "iothub-app-iothub-messagetype": "Will"}
    assert simulator.messages(name) == [(properties, b"gone")]


def test_thousand_subscriptions(simulator, name):
    with hub_client(simulator, name) as client:
        for _ in range(10):
            codes = client.subscribe(*[inbox(name), f"{inbox(name)[:-1]}x"] * 50)
            assert codes == [1, 0x80] * 50
        client.ping()


def test_topic_cannot_forge_a_line_of_the_log(simulator, name):
    with hub_client(simulator, name) as client:
        client.publish(f"{outbox(name)}x\nhub PUT /forged-topic 200\u202e", b"{}")
        client.acknowledged()
        client.ping()
    log = (simulator.state / "simulator.log").read_text()
    (line,) = [line for line in log.split("\n") if "forged-topic" in line]
    assert line.startswith(f"hub PUBLISH mqtt:{outbox(name)}x\N{REPLACEMENT CHARACTER}hub PUT")
    assert line.isprintable()
