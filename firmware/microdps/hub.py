"""Telemetry to the assigned IoT hub over HTTPS: a flow.

Source: Azure REST reference, IoT Hub, "Send Device Event", and the how-to named in microdps.dps.
"""

import json

from microdps.http import quote
from microdps.service import FIELDS, check

_API = "?api-version=2020-03-13"


def path(device_id: str) -> str:
    """Where a device's telemetry goes. Made once: it is the same for each message."""
    return "/devices/" + quote(device_id) + "/messages/events" + _API


def send(connection, hub: str, path: str, data, timeout_ms: int, fields: bytes = b""):
    """Flow: send one message; it has been accepted when this returns.

    hub     host name of the assigned hub, with a port only in a simulation
    path    path() of the device ID that DPS assigned
    data    a dict or list becomes JSON; str and bytes go as they are, and must be JSON
    fields  header lines for the message's properties (microdps.properties)

    Raises ServiceError, ProtocolError, LinkError; ValueError if data cannot become JSON.
    """
    fields = FIELDS + fields if fields else FIELDS
    yield from connection.request("POST", hub, path, fields, encode(data), timeout_ms)
    check(connection, hub, (200, 201, 204))


def encode(data):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return data
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    elif not isinstance(data, str):
        raise TypeError("data: dict, list, str or bytes")
    return data.encode()
