"""Telemetry to the assigned IoT hub over HTTPS: a flow.

Source: Azure REST reference, IoT Hub, "Send Device Event", and the how-to named in microdps.dps.
"""

import json

from microdps.http import FIELDS, quote

_API = "?api-version=2020-03-13"


def path(device_id: str) -> str:
    """Where a device's telemetry goes. Made once: it is the same for each message."""
    return "/devices/" + quote(device_id) + "/messages/events" + _API


def send(connection, hub: str, path: str, data, timeout_ms: int, fields: bytes = b""):
    """Flow: send one message; check() tells then whether it has been accepted.

    hub     host name of the assigned hub, with a port only in a simulation
    path    path() of the device ID that DPS assigned
    data    a dict or list becomes JSON; str and bytes go as they are, and must be JSON
    fields  header lines for the message's properties (microdps.properties)

    Raises ProtocolError, LinkError; ValueError or TypeError if data cannot become JSON.
    """
    fields = FIELDS + fields if fields else FIELDS
    return connection.request("POST", hub, path, fields, encode(data), timeout_ms)


def check(connection, hub: str):
    """Raise the ServiceError of a message that has not been accepted."""
    if connection.status not in (200, 201, 204):
        from microdps.service import failure

        raise failure(connection, hub)


def encode(data):
    """The body for data, bytes-like: a dict or list as JSON, str as UTF-8, bytes as they are."""
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    if isinstance(data, str):
        return data.encode()
    return memoryview(data)
