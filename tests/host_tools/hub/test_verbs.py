"""microdps hub: send, monitor, twin, method."""

import base64
import json
import threading
import uuid

import pytest

from helpers.by_hand import Device, enrolled_device
from helpers.raw_mqtt import hub_client, rid_of


@pytest.fixture
def name(simulator):
    name = f"verbs-{uuid.uuid4()}"
    enrolled_device(simulator, name).provision()
    return name


@pytest.fixture
def hub(command, simulator):
    return lambda action, *rest: command("hub", action, *rest, "--page", simulator.page)


def test_send(hub, simulator, name, tmp_path):
    done = hub("send", name, "hello", "--property", "a=b=c", "--message-id", "m1")
    assert (done.code, done.out) == (0, f"sent to {name} on {simulator.hub}: 1 waiting\n")
    (tmp_path / "bytes").write_bytes(b"\xff\0")
    assert hub("send", name, "--file", tmp_path / "bytes").code == 0
    with hub_client(simulator, name) as client:
        client.subscribe(f"devices/{name}/messages/devicebound/#")
        topic, body, *_ = client.message()
        assert body == b"hello"
        assert "a=b%3Dc" in topic and "%24.mid=m1" in topic
        assert client.message()[1] == b"\xff\0"


def test_send_to_nobody_and_wrong_usage(hub, tmp_path):
    assert "no hub has the device nobody" in hub("send", "nobody", "x").refusal
    assert "cannot read" in hub("send", "nobody", "--file", tmp_path / "missing").refusal
    for wrong in (["x", "--property", "a"], ["x", "--message-id", "m" * 129], []):
        assert hub("send", "nobody", *wrong).code == 2


def test_twin(hub, name):
    done = hub("twin", name, "--desired", '{"interval": 5}')
    assert json.loads(done.out)["desired"] == {"interval": 5}
    assert json.loads(hub("twin", name).out)["versions"] == {"desired": 2, "reported": 1}
    assert hub("twin", name, "--desired", "{").code == 2


def test_method(hub, simulator, name):
    assert "not connected by MQTT" in hub("method", name, "blink").refusal
    with hub_client(simulator, name) as client:
        client.subscribe("$iothub/methods/POST/#")

        def answer():
            rid = rid_of(client.message()[0])
            client.publish(f"$iothub/methods/res/200/?$rid={rid}", b'"done"')

        device = threading.Thread(target=answer)
        device.start()
        done = hub("method", name, "blink", "--payload", '{"times": 1}', "--timeout-s", "10")
        device.join(20)
        assert json.loads(done.out) == {"status": 200, "payload": "done"}


def test_monitor_ends_after_its_count(hub, simulator, name):
    device = threading.Event()

    def send():
        folder = simulator.made(name)
        while not device.wait(0.1):
            Device(simulator, name, folder).send(data=base64.b64encode(b"x"))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        done = hub("monitor", "--device", name, "--count", "1")
    finally:
        device.set()
        sender.join(20)
    assert done.code == 0
    assert json.loads(done.out.partition("\n")[2])["event"]["origin"] == name
