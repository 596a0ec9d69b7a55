"""The simulated Device Provisioning Service: its device API, and the way to its other APIs.

Sources: Azure REST reference (DPS data plane 2021-10-01), and the how-to "Use X.509 certificates
over HTTPS without an SDK" (2025-08-12). The answers equal the how-to's, down to the headers.
"""

import secrets
import time
import uuid

from microdps.program.config import valid_registration_id

from ..attestation import attest
from ..call import ApiError, Call, Response, new_etag
from ..http_service import HttpService
from ..hub.device_api import Hub
from . import allocation, ca_certificates, service_api

HSTS = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
VERSIONS = (
    "2018-09-01-preview",
    "2019-03-31",
    "2021-06-01",
    "2021-10-01",
    "2025-07-01-preview",
    "2026-04-01",
    "2026-11-01",
)

# The errorCode if there is no hub to assign (azure-iot-sdk-c: DPS_HUB_ERROR_NO_HUB).
NO_HUB = 400208


class Dps(HttpService):
    """DPS with all its APIs on one port. The real service has a host name for each.

    hubs            the linked hubs, to which devices are assigned
    retry_after_s   how long DPS asks a device to wait before it polls
    assign_after_s  how long a registration stays "assigning"
    """

    def __init__(self, *args, hubs: list[Hub], retry_after_s: int, assign_after_s: float):
        super().__init__("dps", *args)
        self.hubs = {hub.host: hub for hub in hubs}
        self.retry_after_s = retry_after_s
        self.assign_after_s = assign_after_s

    def respond(self, call: Call) -> Response:
        match call.path:
            case [scope, "registrations", name]:
                response = self._lookup(call, scope, name)
            case [scope, "registrations", name, "register"]:
                response = self._register(call, scope, name)
            case [scope, "registrations", name, "operations", operation]:
                response = self._operation_status(call, scope, name, operation)
            case (
                ["enrollments" | "enrollmentGroups"]
                | ["enrollments" | "enrollmentGroups" | "registrations", _]
                | ["enrollments" | "enrollmentGroups", _, "attestationmechanism"]
                | ["registrations", _, "query"]
            ):
                response = service_api.respond(self, call, list(self.hubs))
            case ["subscriptions", *_]:
                response = ca_certificates.respond(self, call)
            case _:
                # Inferred: the code. The status 404 is documented.
                raise ApiError(404, 404000, "Resource not found.")
        response.headers |= HSTS
        return response

    def error_response(self, call: Call, error: ApiError) -> Response:
        response = super().error_response(call, error)
        if call.path[0] == "subscriptions":
            # Azure Resource Manager's form.
            response.body = {"error": {"code": str(error.code), "message": error.message}}
        # The REST reference has this header for every error.
        response.headers |= HSTS | {"x-ms-error-code": str(error.code)}
        return response

    def _register(self, call: Call, scope: str, name: str) -> Response:
        """Register Device."""
        self._check_call(call, "PUT", scope)
        registration_id = call.json().get("registrationId", name)
        if not isinstance(registration_id, str) or registration_id.lower() != name.lower():
            raise ApiError(400, 400004, "The registration ID differs from that of the path.")
        if not valid_registration_id(name):
            raise ApiError(400, 400004, "The registration ID is invalid.")
        if wait_s := self.limits.wait_s(self.limits.registrations):
            # Inferred: the code. The status 429 is documented.
            raise ApiError(429, 429001, "Too many registrations.", wait_s)
        found, enrollment = attest(call.client, name, self.store, self.now())
        chain = call.client.thumbprints
        if enrollment["provisioningStatus"] == "disabled":
            # The service's MQTT answers like this. Inferred: that HTTPS does the same.
            disabled = {"registrationId": name, "status": "disabled"}
            self.store.registrations.put(name, "", disabled, chain, found)
            body = {"operationId": "", "status": "disabled", "registrationState": disabled}
            return Response(200, body)
        operation = f"5.{secrets.token_hex(8)}.{uuid.uuid4()}"
        state = self._assign(call, name, found, enrollment)
        self.store.registrations.put(name, operation, state, chain, found)
        location = f"https://{call.header('host')}/{scope}/registrations/{name}/register"
        headers = {"location": location, "retry-after": str(self.retry_after_s)}
        return Response(202, {"operationId": operation, "status": "assigning"}, headers)

    def _assign(self, call: Call, name: str, found: tuple[str, str], enrollment: dict) -> dict:
        """Assign a device to a hub → the state of the registration. found: kind, enrollment ID."""
        registration = self.store.registrations.get(name)
        before = registration[2] if registration else {}
        now = self.timestamp()
        state: dict = {
            "x509": {},
            "registrationId": name,
            "createdDateTimeUtc": before.get("createdDateTimeUtc", now),
        }
        end = {"lastUpdatedDateTimeUtc": now, "etag": new_etag()}
        chosen = allocation.choose_hub(enrollment, name, list(self.hubs))
        fault = call.faults.get("failed")
        if fault or chosen is None:
            code = fault.number if fault else NO_HUB
            error = {"errorCode": code, "errorMessage": "No IoT hub could be assigned."}
            return state | {"status": "failed"} | error | end
        device_id = enrollment.get("deviceId") or name
        hub, substatus = self._move_device(call, name, found[0], enrollment, chosen, before)
        assigned = {
            "assignedHub": hub,
            "deviceId": device_id,
            "status": "assigned",
            "substatus": substatus,
        }
        return state | assigned | end

    def _move_device(
        self, call: Call, name: str, kind: str, enrollment: dict, chosen: str, before: dict
    ) -> tuple[str, str]:
        """Give the device to its hub, and take it from its old one → hub, substatus.

        kind    of the enrollment
        chosen  the hub that the policy chooses
        before  state of the last registration
        """
        old_hub, old_id = before.get("assignedHub", ""), before.get("deviceId", "")
        device = self.store.devices.get(old_hub, old_id) or {}
        initial = device.get("initialHub")
        linked = list(self.hubs)
        hub, substatus = allocation.reprovision(enrollment, chosen, before, initial, linked)
        device_id = enrollment.get("deviceId") or name
        if (old_hub, old_id) != (hub, device_id):
            if old_hub in self.hubs:
                self.hubs[old_hub].disconnect(old_id)
            self.store.devices.delete(old_hub, old_id)
        record = {
            "kind": kind,
            "registrationId": name,
            "thumbprint": call.client.thumbprints[0],
            "status": device.get("status", "enabled"),
            "initialHub": initial or hub,
        }
        self.store.devices.put(hub, device_id, record)
        return hub, substatus

    def _operation_status(self, call: Call, scope: str, name: str, operation: str) -> Response:
        """Operation Status Lookup."""
        self._check_call(call, "GET", scope)
        if wait_s := self.limits.wait_s(self.limits.polls, name.lower()):
            # Inferred: the code. The status 429 is documented.
            raise ApiError(429, 429001, "Too many requests for the operation's status.", wait_s)
        attest(call.client, name, self.store, self.now())
        registration = self.store.registrations.get(name)
        if not registration or not operation or registration[0] != operation:
            # Inferred: the code.
            raise ApiError(404, 404201, "Operation not found.")
        _, started, state, _ = registration
        if "never" in call.faults or time.time() - started < self.assign_after_s:
            body = {
                "operationId": operation,
                "status": "assigning",
                "registrationState": {
                    "registrationId": state["registrationId"],
                    "status": "assigning",
                },
            }
            return Response(202, body, {"retry-after": str(self.retry_after_s)})
        body = {"operationId": operation, "status": state["status"], "registrationState": state}
        return Response(200, body)

    def _lookup(self, call: Call, scope: str, name: str) -> Response:
        """Device Registration Status Lookup: the state of the registration alone."""
        self._check_call(call, "POST", scope)
        call.json()
        attest(call.client, name, self.store, self.now())
        registration = self.store.registrations.get(name)
        if not registration:
            # Inferred: the code.
            raise ApiError(404, 404201, "Registration not found.")
        return Response(200, registration[2])

    def _check_call(self, call: Call, method: str, scope: str) -> None:
        if call.method != method:
            raise ApiError(405, 405000, "Method not allowed.")
        if call.query.get("api-version") not in VERSIONS:
            raise ApiError(400, 400004, "The api-version is not supported.")
        if scope != self.store.id_scope:
            # Inferred: an unknown ID scope is refused like an unknown certificate.
            raise ApiError(401, 401002, "Unauthorized")
