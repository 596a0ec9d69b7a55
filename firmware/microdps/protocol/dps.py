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
from microdps.protocol.url import TOKEN, quote, split_host

# At most 5 polls in 10 s are allowed (DPS quotas), so 2 s lie between two, and some more.
_POLL_MS = const(2200)

# An operation ID is of some 60 characters.
_OPERATION = const(256)

# What a device ID is made of ("Understand the identity registry in your IoT hub").
_DEVICE_ID = TOKEN[:65] + b"+%#*?!(),:=@$'"


def register(
    connection, host: str, id_scope: str, registration_id: str, timeout_ms: int, payload=None
):
    """Flow: register the device and poll until it is assigned → microdps.protocol.Assignment.

    payload  a dict for the custom allocation, or None

    Raises ServiceError: DPS answered with an error, or the registration failed or is disabled
    (status 200 then), or "deadline" if the device was not assigned within timeout_ms; no poll is
    sent that could not be answered in time. ProtocolError, LinkError.
    """
    left = timeout_ms
    deadline = left + (yield "now", None)
    base = "/%s/registrations/%s/" % (quote(id_scope), quote(registration_id))
    request = {"registrationId": registration_id}
    if payload is not None:
        request["payload"] = payload
    body: bytes | None = json.dumps(request).encode()
    method, path = "PUT", "register"
    while True:
        path = base + path + "?api-version=2021-06-01"
        yield from connection.request(method, host, path, FIELDS, body, left)
        connection.tidy()
        answer = _json(connection, host)
        status = answer.get("status")
        if status == "assigned":
            return _assignment(answer, host)
        path = "operations/" + _operation(answer, status, host)
        wait = max(_POLL_MS, connection.retry_s * 1000)
        left = deadline - wait - (yield "now", None)
        if left <= 0:
            from microdps.protocol.service_error import too_late

            raise too_late(connection, status, host)
        connection.tidy()
        yield "sleep", wait
        method, body = "GET", None


def _operation(answer: dict, status, host: str) -> str:
    """The operation ID in an answer of DPS, for a path. Raises ProtocolError; ServiceError if DPS
    has decided against the device."""
    if status not in ("unassigned", "assigning"):
        from microdps.protocol.service_error import refusal

        raise refusal(answer, status, host)
    operation = answer.get("operationId")
    if isinstance(operation, str) and 0 < len(operation) <= _OPERATION:
        try:
            return quote(operation)
        except ValueError:  # half of a surrogate pair
            pass
    raise ProtocolError("answer", host + ": operationId")


def _assignment(answer: dict, host: str) -> Assignment:
    """What an answer of DPS says of a device that is assigned. Raises ProtocolError."""
    from microdps.protocol.printable import printable

    state = answer.get("registrationState", {})
    try:
        hub = state["assignedHub"]
        device_id = state["deviceId"]
        split_host(hub)
        if not 0 < len(device_id) <= 128 or device_id.encode().strip(_DEVICE_ID):
            raise ValueError
        substatus = printable(state.get("substatus"), 64)
        return Assignment(hub, device_id, "assigned", substatus, state.get("payload"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProtocolError("answer", host + ": registrationState")


def _json(connection, host: str) -> dict:
    """The body of an answer. Raises ServiceError if it is an error of DPS; ProtocolError. The
    module that reads it can be let go afterwards."""
    if connection.status not in (200, 202):
        from microdps.protocol.service_error import failure

        raise failure(connection, host)
    from microdps.protocol.answer import json_object

    return json_object(connection, host)
