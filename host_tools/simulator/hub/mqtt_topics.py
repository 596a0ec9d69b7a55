"""The topics of IoT Hub's MQTT, and the property bags in them.

Source: "Communicate with an IoT hub using the MQTT protocol" (Azure documentation).
"""

import re
import urllib.parse

TWIN_ANSWERS = "$iothub/twin/res/"
DESIRED_CHANGES = "$iothub/twin/PATCH/properties/desired/"
METHOD_CALLS = "$iothub/methods/POST/"

GET_TWIN = re.compile(r"\$iothub/twin/GET/\?\$rid=([^&]*)")
PATCH_REPORTED = re.compile(r"\$iothub/twin/PATCH/properties/reported/\?\$rid=([^&]*)(?:&.*)?")
METHOD_ANSWER = re.compile(r"\$iothub/methods/res/(-?\d{1,9})/\?\$rid=([^&]*)")

# A system property in a topic → the header of the same property over HTTPS.
SYSTEM_PROPERTIES = {
    "$.mid": "iothub-messageid",
    "$.cid": "iothub-correlationid",
    "$.uid": "iothub-userid",
    "$.to": "iothub-to",
    "$.exp": "iothub-expiry",
    "$.ct": "content-type",
    "$.ce": "content-encoding",
    "$.ctime": "iothub-creationtimeutc",
    "$.ifid": "iothub-interface-id",
}
BAG_NAMES = {header: name for name, header in SYSTEM_PROPERTIES.items()}


def events(device_id: str) -> str:
    return f"devices/{device_id}/messages/events/"


def devicebound(device_id: str) -> str:
    return f"devices/{device_id}/messages/devicebound/"


def read_bag(bag: str) -> dict[str, str]:
    """The properties in the topic of a message, by the names that they have over HTTPS."""
    pairs = urllib.parse.parse_qsl(bag, keep_blank_values=True)
    return {
        SYSTEM_PROPERTIES.get(name, f"iothub-app-{name.lower()}"): value for name, value in pairs
    }


def write_bag(device_id: str, properties: dict[str, str]) -> str:
    """The topic's end for a cloud-to-device message. properties: by their names over HTTPS."""
    pairs = {"$.to": f"/devices/{device_id}/messages/deviceBound"}
    for header, value in properties.items():
        name = BAG_NAMES.get(header) or header.removeprefix("iothub-app-")
        pairs[name] = value
    return urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote, safe="")


def is_simulated(topic_filter: str, device_id: str) -> bool:
    """May this device subscribe to a filter?"""
    return topic_filter in (
        f"{devicebound(device_id)}#",
        "devices/+/messages/devicebound/#",  # azure-sdk-for-c
        f"{TWIN_ANSWERS}#",
        f"{DESIRED_CHANGES}#",
        f"{METHOD_CALLS}#",
    )


def qos_of(filters: dict[str, int], topic: str) -> int | None:
    """The QoS with which a topic is subscribed to; None if it is not."""
    found = [
        qos
        for one, qos in filters.items()
        if topic.startswith(one.removesuffix("#"))
        or (one.startswith("devices/+/") and topic.startswith("devices/"))
    ]
    return max(found, default=None)
