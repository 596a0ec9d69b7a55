"""The hub's MQTT: messages for devices, sessions, wills, other topics, telemetry in flight."""

import uuid

import pytest

from helpers.by_hand import enrolled_device
from helpers.hostile import log_lines
from helpers.raw_mqtt import hub_client, publish_packet
from microdps_tools.simulator.hub.mqtt_packets import Kind, packet


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
    (line,) = log_lines(simulator, "forged-topic")
    assert line.startswith(f"hub PUBLISH mqtt:{outbox(name)}x\N{REPLACEMENT CHARACTER}hub PUT")
    assert line.isprintable()
