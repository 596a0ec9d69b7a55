"""The live view of messages."""

import json
import threading

from helpers.by_hand import enrolled_device
from microdps_tools.hub.admin_client import AdminClient
from microdps_tools.hub.monitor import event, monitor


def test_messages_from_now_on_in_their_order(simulator):
    device, other = (enrolled_device(simulator, f"monitor-0{n}") for n in (1, 2))
    for one in (device, other):
        one.provision()
        one.send(data=b'"before"')
    shown, started = [], threading.Event()

    class Client(AdminClient):
        def last_number(self):
            number = super().last_number()
            started.set()
            return number

    client = Client(simulator.page)
    view = threading.Thread(target=monitor, args=(client, shown.append, device.name, False, 3))
    view.start()
    assert started.wait(20)
    for text in (b'{"n": 1}', b"\xff\n", b"plain"):
        other.send(data=b"other")
        assert device.send(data=text).status_code == 204
    view.join(20)
    assert not view.is_alive()
    payloads = [json.loads(text)["event"]["payload"] for text in shown]
    assert payloads == [{"n": 1}, "\N{REPLACEMENT CHARACTER}\n", "plain"]


def test_messages_after_a_number(simulator):
    """The caller has asked for the number before it says that it shows messages."""
    device = enrolled_device(simulator, "monitor-03")
    device.provision()
    client, shown = AdminClient(simulator.page), []
    last = client.last_number()
    device.send(data=b"1")
    monitor(client, shown.append, device.name, count=1, last=last)
    assert json.loads(shown[0])["event"]["payload"] == 1


def test_properties():
    properties = {
        "iothub-messageid": "m1",
        "content-type": "application/json",
        "iothub-app-level": "high",
    }
    message = {"device": "d", "whole": "{}", "properties": properties}
    assert json.loads(event(message, True))["event"]["properties"] == {
        "system": {"message_id": "m1", "content_type": "application/json"},
        "application": {"level": "high"},
    }
    assert "properties" not in json.loads(event(message, False))["event"]
