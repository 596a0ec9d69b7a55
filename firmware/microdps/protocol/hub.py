"""Telemetry to the assigned IoT hub over HTTPS: a flow.

Source: Azure REST reference, IoT Hub, "Send Device Event", and the how-to named in
microdps.protocol.dps.
"""

from microdps.protocol.http import FIELDS


def path(device_id: str) -> str:
    """Where a device's telemetry goes. Made once: it is the same for each message."""
    from microdps.protocol.url import quote

    return "/devices/" + quote(device_id) + "/messages/events?api-version=2020-03-13"


def send(connection, hub: str, path: str, body, timeout_ms: int, fields: bytes = b""):
    """Flow: send one message. It has been accepted if the status is 200, 201 or 204 then; if not,
    microdps.protocol.service_error.failure() tells why.

    hub     host name of the assigned hub, with a port only in a simulation
    path    path() of the device ID that DPS assigned
    body    bytes-like, JSON
    fields  header lines for the message's properties (microdps.protocol.properties)

    Raises ProtocolError, LinkError.
    """
    fields = FIELDS + fields if fields else FIELDS
    return connection.request("POST", hub, path, fields, body, timeout_ms)
