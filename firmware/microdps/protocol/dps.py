"""Registration with the Device Provisioning Service: a flow.

    PUT /{idScope}/registrations/{registrationId}/register          202: operationId, Retry-After
    GET /{idScope}/registrations/{registrationId}/operations/{op}   202 while assigning, 200 then

Source: Azure REST reference, Device Provisioning Service, RuntimeRegistration, and the how-to
"Use X.509 certificates over HTTPS without an SDK" (2025-08-12).
"""

import json

from micropython import const

from microdps.protocol.http import FIELDS
from microdps.protocol.url import quote

# At most 5 polls in 10 s are allowed (DPS quotas), so 2 s lie between two, and some more.
_POLL_MS = const(2200)


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
        from microdps.protocol.registration import read

        status, found = read(connection, host)
        del read
        if status == "assigned":
            return found
        path = "operations/" + found
        wait = max(_POLL_MS, connection.retry_s * 1000)
        left = deadline - wait - (yield "now", None)
        if left <= 0:
            from microdps.protocol.service_error import too_late

            raise too_late(connection, status, host)
        connection.tidy()
        yield "sleep", wait
        method, body = "GET", None
