"""Registration with the Device Provisioning Service: a flow.

    PUT /{idScope}/registrations/{registrationId}/register          202: operationId, Retry-After
    GET /{idScope}/registrations/{registrationId}/operations/{op}   202 while assigning, 200 then

Source: Azure REST reference, Device Provisioning Service, RuntimeRegistration, and the how-to
"Use X.509 certificates over HTTPS without an SDK" (2025-08-12).
"""

import json
from collections import namedtuple

from micropython import const

from microdps.errors import ProtocolError, ServiceError
from microdps.http import NOW, quote, split_host
from microdps.service import FIELDS, check, parse, retry_after_s

_API = "?api-version=2021-06-01"

# At most 5 polls in 10 s are allowed (DPS quotas), so 2 s lie between two, and some more.
_POLL_MS = const(2200)

# An operation ID is of some 60 characters.
_OPERATION = const(256)

Assignment = namedtuple("Assignment", ("hub", "device_id", "status", "substatus", "payload"))


def register(
    connection, host: str, id_scope: str, registration_id: str, timeout_ms: int, payload=None
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
    start = yield NOW
    deadline = start + timeout_ms
    base = "/%s/registrations/%s/" % (quote(id_scope), quote(registration_id))
    request = {"registrationId": registration_id}
    if payload is not None:
        request["payload"] = payload
    body = json.dumps(request).encode()
    yield from connection.request("PUT", host, base + "register" + _API, FIELDS, body, timeout_ms)
    while True:
        check(connection, host, (200, 202))
        answer = parse(connection, host)
        status = _text(answer, "status", host)
        if status == "assigned":
            return _assignment(answer, host)
        if status not in ("unassigned", "assigning"):
            raise _refusal(answer, status, host)
        operation = _text(answer, "operationId", host)
        if not 0 < len(operation) <= _OPERATION:
            raise ProtocolError("answer", host + ": operationId")
        wait = max(_POLL_MS, retry_after_s(connection) * 1000)
        left = deadline - (yield NOW) - wait
        if left <= 0:
            raise ServiceError("deadline", host, connection.status, None, status, "")
        yield "sleep", wait, None
        path = base + "operations/" + quote(operation) + _API
        yield from connection.request("GET", host, path, FIELDS, None, left)


def _text(answer: dict, key: str, host: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        raise ProtocolError("answer", host + ": " + key)
    return value


def _state(answer: dict, host: str) -> dict:
    state = answer.get("registrationState") or {}
    if not isinstance(state, dict):
        raise ProtocolError("answer", host + ": registrationState")
    return state


def _assignment(answer: dict, host: str) -> Assignment:
    state = _state(answer, host)
    hub = _text(state, "assignedHub", host)
    try:
        split_host(hub)
    except ValueError:
        raise ProtocolError("answer", host + ": assignedHub")
    device_id = _text(state, "deviceId", host)
    if not device_id:
        raise ProtocolError("answer", host + ": deviceId")
    substatus = state.get("substatus")
    if not isinstance(substatus, str):
        substatus = ""
    return Assignment(hub, device_id, "assigned", substatus, state.get("payload"))


def _refusal(answer: dict, status: str, host: str) -> Exception:
    """The error for a final status that is not assigned."""
    if status not in ("failed", "disabled"):
        return ProtocolError("answer", host + ": status")
    state = _state(answer, host)
    message = state.get("errorMessage")
    return ServiceError(status, host, 200, state.get("errorCode"), message or "", "")
