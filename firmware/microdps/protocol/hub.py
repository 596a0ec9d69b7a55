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
    """Flow: send one message.

    hub     host name of the assigned hub, with a port only in a simulation
    path    path() of the device ID that DPS assigned
    body    bytes-like, JSON
    fields  header lines for the message's properties (microdps.protocol.properties)

    Raises ServiceError if the hub has not accepted it; ProtocolError, LinkError.
    """
    fields = FIELDS + fields if fields else FIELDS
    yield from connection.request("POST", hub, path, fields, body, timeout_ms)
    if connection.status not in (200, 201, 204):
        connection.tidy()
        from microdps.protocol.service_error import failure

        raise failure(connection, hub)
