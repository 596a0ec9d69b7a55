"""A live view of the messages that the hubs accept, as `az iot hub monitor-events` gives it."""

import json
import time
from collections.abc import Callable

from .admin_client import AdminClient

POLL_S = 0.5
PAGE = 200

# How `az iot hub monitor-events` calls the system properties.
SYSTEM = {
    "content-type": "content_type",
    "iothub-contenttype": "content_type",
    "content-encoding": "content_encoding",
    "iothub-contentencoding": "content_encoding",
    "iothub-messageid": "message_id",
    "iothub-correlationid": "correlation_id",
    "iothub-userid": "user_id",
}
APPLICATION = "iothub-app-"


def monitor(
    client: AdminClient,
    show: Callable[[str], None],
    device_id: str | None = None,
    properties: bool = False,
    count: int = 0,
    last: int | None = None,
) -> None:
    """Show messages from now on, until Ctrl-C.

    show        a function that takes the text of one message
    device_id   only this device's; None: all
    properties  show the properties as well
    count       how many messages; 0: without an end
    last        number of the last message before; None: the last one now
    """
    shown = 0
    if last is None:
        last = client.last_number()
    while True:
        found = client.messages(last, PAGE)
        for message in found:
            last = message["number"]
            if device_id in (None, message["device"]):
                show(event(message, properties))
                shown += 1
                if shown == count:
                    return
        if not found:
            time.sleep(POLL_S)


def event(message: dict, properties: bool) -> str:
    """The text of a message."""
    try:
        payload = json.loads(message["whole"])
    except ValueError:
        payload = message["whole"]
    found: dict = {
        "origin": message["device"],
        "module": "",
        "interface": "",
        "component": "",
        "payload": payload,
    }
    if properties:
        given = message["properties"]
        system = {SYSTEM[name]: value for name, value in given.items() if name in SYSTEM}
        own = {
            name.removeprefix(APPLICATION): value
            for name, value in given.items()
            if name.startswith(APPLICATION)
        }
        found["properties"] = {"system": system, "application": own}
    return json.dumps({"event": found}, indent=4)
