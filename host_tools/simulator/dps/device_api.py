"""The simulated Device Provisioning Service: its device API, and the way to its other APIs.

Sources: Azure REST reference (DPS data plane 2021-10-01), and the how-to "Use X.509 certificates
over HTTPS without an SDK" (2025-08-12). The answers equal the how-to's, down to the headers.
"""

import secrets
import time
import uuid

from microdps.program.config import valid_registration_id

from ..attestation import NOT_FOUND, attest
from ..call import ApiError, Call, Response, lower_case, new_etag, timestamp
from ..http_service import HttpService
from ..hub.device_api import Hub
from ..hub.twin import first_twin
from . import allocation, management_api, service_api

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

# How long an assignment takes at least, in the answer's dates: the how-to shows about 0.24 s.
LEAST_ASSIGN_S = 0.2

# Substatus of a device whose twin moves with it.
KEEP_DATA = ("initialAssignment", "deviceDataMigrated")

# The first segments of the service API's paths, by their lower case.
SERVICE_PATHS = {
    name.lower(): name for name in ("enrollments", "enrollmentGroups", "registrations")
}

# The errorCode if there is no hub to assign (azure-iot-sdk-c: DPS_HUB_ERROR_NO_HUB).
NO_HUB = 400208


def _refuse_what_is_not_simulated(body: dict) -> None:
    """Raises ApiError if a registration asks for more than X.509."""
    if body.get("tpm") is not None:
        raise ApiError(400, 400004, "tpm: attestation by TPM is not simulated.")
    if body.get("csr") is not None:
        # The real service issues a certificate, from 2025-07-01-preview on.
        message = "csr: issuing certificates is not simulated. Register without it."
        raise ApiError(400, 400004, message)


def _operation(operation: str, state: dict) -> dict:
    """The status of an operation that has ended. state: of the registration."""
    return {"operationId": operation, "status": state["status"], "registrationState": state}


class Dps(HttpService):
    """DPS with all its APIs on one port. The real service has a host name for each.

    hubs            the linked hubs, to which devices are assigned
    retry_after_s   how long DPS asks a device to wait before it polls
    assign_after_s  how long a registration stays "assigning"
    """

    def __init__(self, *args, hubs: list[Hub], retry_after_s: int, assign_after_s: float):
        super().__init__("dps", *args)
        self._hubs = hubs
        self.retry_after_s = retry_after_s
        self.assign_after_s = assign_after_s

    @property
    def hubs(self) -> dict[str, Hub]:
        """The linked hubs by their hosts, which are known when they listen."""
        return {hub.host: hub for hub in self._hubs}

    def respond(self, call: Call) -> Response:
        if len(call.path) > 1 and not call.path[-1] and call.path[0].lower() in SERVICE_PATHS:
            call.path = call.path[:-1]  # azure-iot-sdk-node has a slash before the query
        # The REST reference mixes upper and lower case.
        match lower_case(call.path):
            case [_, "registrations", _]:
                response = self._lookup(call, *call.path[::2])
            case [_, "registrations", _, "register"]:
                response = self._register(call, call.path[0], call.path[2])
            case [_, "registrations", _, "operations", _]:
                response = self._operation_status(call, *call.path[::2])
            case (
                ["enrollments" | "enrollmentgroups"]
                | ["enrollments" | "enrollmentgroups" | "registrations", _]
                | ["enrollments" | "enrollmentgroups", _, "attestationmechanism"]
                | ["registrations", _, "query"]
            ) as found:
                call.path = (SERVICE_PATHS[found[0]], *call.path[1:2], *found[2:])
                response = service_api.respond(self, call, list(self.hubs))
            case ["subscriptions", *_]:
                response = management_api.respond(self, call)
            case _:
                # Inferred: the code. The status 404 is documented.
                raise ApiError(404, 404000, "Resource not found.")
        response.headers |= HSTS
        return response

    def error_response(self, call: Call, error: ApiError) -> Response:
        response = super().error_response(call, error)
        if call.path[0].lower() == "subscriptions":
            # Azure Resource Manager's form.
            response.body = {"error": {"code": str(error.code), "message": error.message}}
        # The REST reference has this header for every error.
        response.headers |= HSTS | {"x-ms-error-code": str(error.code)}
        return response

    def _register(self, call: Call, scope: str, name: str) -> Response:
        """Register Device."""
        self._check_call(call, "PUT", scope)
        body = call.json()
        registration_id = body.get("registrationId", name)
        if not isinstance(registration_id, str) or registration_id.lower() != name.lower():
            raise ApiError(400, 400004, "The registration ID differs from that of the path.")
        if not valid_registration_id(name):
            raise ApiError(400, 400004, "The registration ID is invalid.")
        _refuse_what_is_not_simulated(body)
        if wait_s := self.limits.wait_s(self.limits.registrations):
            # Inferred: the code. The status 429 is documented.
            raise ApiError(429, 429001, "Too many registrations.", wait_s)
        found, enrollment = self._attest(call, name)
        chain = call.client.thumbprints
        operation = f"5.{secrets.token_hex(8)}.{uuid.uuid4()}"
        if enrollment["provisioningStatus"] == "disabled":
            # The service's MQTT answers like this, with an empty operation ID (azure-sdk-for-c).
            # The schema of HTTPS forbids an empty one. Inferred: that all else is the same.
            disabled = {"registrationId": name, "status": "disabled"}
            self.store.registrations.put(name, operation, disabled, chain, found)
            return Response(200, _operation(operation, disabled))
        state = self._assign(call, name, found, enrollment)
        self.store.registrations.put(name, operation, state, chain, found)
        location = f"https://{call.header('host')}/{scope}/registrations/{name}/register"
        headers = {"location": location, "retry-after": str(self.retry_after_s)}
        return Response(202, {"operationId": operation, "status": "assigning"}, headers)

    def _assign(self, call: Call, name: str, found: tuple[str, str], enrollment: dict) -> dict:
        """Assign a device to a hub → the state of the registration. found: kind, enrollment ID."""
        registration = self.store.registrations.get(name)
        before = registration[2] if registration else {}
        now = self.now()
        state: dict = {
            "x509": {"enrollmentGroupId": enrollment["enrollmentGroupId"]}
            if found[0] == "group"
            else {},
            "registrationId": name,
            "createdDateTimeUtc": before.get("createdDateTimeUtc", timestamp(now)),
        }
        # The device is assigned later than it has asked, also if it need not wait at all.
        assigned_at = now + max(self.assign_after_s, LEAST_ASSIGN_S)
        end = {"lastUpdatedDateTimeUtc": timestamp(assigned_at), "etag": new_etag()}
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
            if substatus in KEEP_DATA:
                self.store.twins.move((old_hub, old_id), (hub, device_id))
            self.store.devices.delete(old_hub, old_id)
        if self.store.twins.get(hub, device_id) is None:
            self.store.twins.put(hub, device_id, first_twin(enrollment.get("initialTwin")))
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
        self._attest(call, name)
        registration = self.store.registrations.get(name)
        if not registration or not operation or registration[0] != operation:
            # Inferred: the code.
            raise ApiError(404, 404201, "Operation not found.")
        _, started, state, _ = registration
        waits = state["status"] != "disabled" and time.time() - started < self.assign_after_s
        if "never" in call.faults or waits:
            body = {
                "operationId": operation,
                "status": "assigning",
                "registrationState": {
                    "registrationId": state["registrationId"],
                    "status": "assigning",
                },
            }
            return Response(202, body, {"retry-after": str(self.retry_after_s)})
        return Response(200, _operation(operation, state))

    def _lookup(self, call: Call, scope: str, name: str) -> Response:
        """Device Registration Status Lookup: the state of the registration alone."""
        self._check_call(call, "POST", scope)
        _refuse_what_is_not_simulated(call.json())
        self._attest(call, name)
        registration = self.store.registrations.get(name)
        if not registration:
            # Inferred: the code.
            raise ApiError(404, 404201, "Registration not found.")
        return Response(200, registration[2])

    def _attest(self, call: Call, name: str) -> tuple[tuple[str, str], dict]:
        """The enrollment of a call's client, as attestation.attest() returns it."""
        readings = self.context.readings
        try:
            return attest(call.client, name, self.store, self.now(), readings.stored_ca)
        except ApiError as error:
            if readings.unknown_404 and error.message == NOT_FOUND:
                # Seen of the service for TPM only (azure-iot-sdk-csharp's tests).
                raise ApiError(404, 404201, "Not found.", cause=error.cause) from error
            raise

    def _check_call(self, call: Call, method: str, scope: str) -> None:
        call.check_method(method)
        if call.query.get("api-version") not in VERSIONS:
            raise ApiError(400, 400004, "The api-version is not supported.")
        if scope != self.store.id_scope:
            # Inferred: an unknown ID scope is refused like an unknown certificate.
            cause = f"the request is for scope {scope!r}, this DPS is {self.store.id_scope!r}"
            raise ApiError(401, 401002, "Unauthorized", cause=cause)
