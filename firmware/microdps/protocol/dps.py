"""Registration with the Device Provisioning Service: a flow.

    PUT /{idScope}/registrations/{registrationId}/register          202: operationId, Retry-After
    GET /{idScope}/registrations/{registrationId}/operations/{op}   202 while assigning, 200 then

Source: Azure REST reference, Device Provisioning Service, RuntimeRegistration, and the how-to
"Use X.509 certificates over HTTPS without an SDK" (2025-08-12).
"""

import json

from micropython import const

from microdps.errors import ProtocolError
from microdps.protocol import Assignment
from microdps.protocol.http import FIELDS
from microdps.protocol.url import quote, split_host

# At most 5 polls in 10 s are allowed (DPS quotas), so 2 s lie between two, and some more.
_POLL_MS = const(2200)

# An operation ID is of some 60 characters.
_OPERATION = const(256)


def register(
    connection,
    host: str,
    id_scope: str,
    registration_id: str,
    timeout_ms: int,
    payload=None,
):
    """Flow: register the device and poll until it is assigned → Assignment.

    payload  a dict for the custom allocation, or None

    hub        host name of the assigned IoT hub, with a port only in a simulation
    device_id  under which telemetry is to be sent; an individual enrollment may choose it
    substatus  "initialAssignment", …; "" if DPS gave none
    payload    what a custom allocation returned, or None

    Raises ServiceError: DPS answered with an error, or the registration failed or is disabled
    (status 200 then). ProtocolError, LinkError. ServiceError("deadline") if the device was not
    assigned within timeout_ms; no poll is sent then that could not be answered in time.
    """
    left = timeout_ms
    deadline = left + (yield "now", None)
    base = "/%s/registrations/%s/" % (quote(id_scope), quote(registration_id))
    request = {"registrationId": registration_id}
    if payload is not None:
        request["payload"] = payload
    body: bytes | None = json.dumps(request).encode()
    method = "PUT"
    path = "register"
    while True:
        path = base + path + "?api-version=2021-06-01"
        yield from connection.request(method, host, path, FIELDS, body, left)
        connection.tidy()
        if connection.status not in (200, 202):
            from microdps.protocol.service_error import failure

            raise failure(connection, host)
        answer = _json(connection, host)
        status = answer.get("status")
        if status == "assigned":
            break
        if status not in ("unassigned", "assigning"):
            from microdps.protocol.service_error import refusal

            raise refusal(answer, status, host)
        path = answer.get("operationId", "")
        if not isinstance(path, str) or not 0 < len(path) <= _OPERATION:
            raise ProtocolError("answer", host + ": operationId")
        wait = max(_POLL_MS, connection.retry_s * 1000)
        left = deadline - wait - (yield "now", None)
        if left <= 0:
            from microdps.protocol.service_error import too_late

            raise too_late(connection, status, host)
        connection.tidy()
        yield "sleep", wait
        method = "GET"
        body = None
        path = "operations/" + quote(path)
    state = answer.get("registrationState", {})
    try:
        hub = state["assignedHub"]
        device_id = state["deviceId"]
        split_host(hub)
        if not device_id.encode():
            raise ValueError
        substatus = str(state.get("substatus") or "")
        return Assignment(hub, device_id, status, substatus, state.get("payload"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProtocolError("answer", host + ": registrationState")


def _json(connection, host: str) -> dict:
    """The body of an answer. The module that reads it can be let go afterwards."""
    from microdps.protocol.answer import json_object

    return json_object(connection, host)
