"""Telemetry to the assigned IoT hub over HTTPS: a flow.

Source: Azure REST reference, IoT Hub, "Send Device Event", and the how-to named in microdps.dps.
"""

import json

from microdps.http import FIELDS, quote


def path(device_id: str) -> str:
    """Where a device's telemetry goes. Made once: it is the same for each message."""
    return "/devices/" + quote(device_id) + "/messages/events?api-version=2020-03-13"


def send(connection, hub: str, path: str, data, timeout_ms: int, fields: bytes = b""):
    """Flow: send one message. It has been accepted if the status is 200, 201 or 204 then.

    hub     host name of the assigned hub, with a port only in a simulation
    path    path() of the device ID that DPS assigned
    data    a dict or list becomes JSON; str and bytes go as they are, and must be JSON
    fields  header lines for the message's properties (microdps.properties)

    Raises ProtocolError, LinkError; ValueError or TypeError if data cannot become JSON.
    """
    fields = FIELDS + fields if fields else FIELDS
    return connection.request("POST", hub, path, fields, encode(data), timeout_ms)


def encode(data):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are."""
    if isinstance(data, (dict, list)):
        return json.dumps(data).encode()
    if isinstance(data, str):
        return data.encode()
    return memoryview(data)
