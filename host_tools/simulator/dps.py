"""The simulated Device Provisioning Service: its device API, and where its other APIs are.

Sources: Azure REST reference (DPS data plane 2021-10-01), and the how-to "Use X.509 certificates
over HTTPS without an SDK" (2025-08-12), whose answers these are to the header.
"""

import secrets
import time
import uuid

from host_tools.simulator import allocation, authority, enrollments
from host_tools.simulator.answers import Answer, Call, Refusal, Service, etag
from host_tools.simulator.attestation import attest
from host_tools.simulator.hub import Hub
from microdps.program.config import valid_registration_id

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

# No hub to assign (azure-iot-sdk-c: DPS_HUB_ERROR_NO_HUB).
NO_HUB = 400208


class Dps(Service):
    """All its APIs on one port; the real service has a host name for each.

    hubs            the linked hubs, which devices are assigned to
    retry_after_s   what a device is asked to wait before it polls
    assign_after_s  how long a registration stays "assigning"
    """

    def __init__(self, *args, hubs: list[Hub], retry_after_s: int, assign_after_s: float):
        super().__init__("dps", *args)
        self.hubs = {hub.host: hub for hub in hubs}
        self.retry_after_s = retry_after_s
        self.assign_after_s = assign_after_s

    def answer(self, call: Call) -> Answer:
        match call.path:
            case [scope, "registrations", name]:
                answer = self._lookup(call, scope, name)
            case [scope, "registrations", name, "register"]:
                answer = self._register(call, scope, name)
            case [scope, "registrations", name, "operations", operation]:
                answer = self._operation(call, scope, name, operation)
            case (
                ["enrollments" | "enrollmentGroups"]
                | ["enrollments" | "enrollmentGroups" | "registrations", _]
                | ["enrollments" | "enrollmentGroups", _, "attestationmechanism"]
                | ["registrations", _, "query"]
            ):
                answer = enrollments.answer(self, call, list(self.hubs))
            case ["subscriptions", *_]:
                answer = authority.answer(self, call)
            case _:
                # Inferred: the code; documented is status 404.
                raise Refusal(404, 404000, "Resource not found.")
        answer.headers |= HSTS
        return answer

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        answer = super().refused(call, refusal)
        if call.path[0] == "subscriptions":
            # As Azure Resource Manager has it.
            answer.body = {"error": {"code": str(refusal.code), "message": refusal.message}}
        # The header is in the REST reference for every error.
        answer.headers |= HSTS | {"x-ms-error-code": str(refusal.code)}
        return answer

    def _register(self, call: Call, scope: str, name: str) -> Answer:
        self._device_call(call, "PUT", scope)
        given = call.json().get("registrationId", name)
        if not isinstance(given, str) or given.lower() != name.lower():
            raise Refusal(400, 400004, "The registration ID differs from that of the path.")
        if not valid_registration_id(name):
            raise Refusal(400, 400004, "The registration ID is invalid.")
        if wait_s := self.limits.wait_s(self.limits.registrations):
            # Inferred: the code; documented is status 429.
            raise Refusal(429, 429001, "Too many registrations.", wait_s)
        found, enrollment = attest(call.client, name, self.store, self.now())
        chain = call.client.thumbprints
        if enrollment["provisioningStatus"] == "disabled":
            # As the service's MQTT answers it. Inferred: the same over HTTPS.
            disabled = {"registrationId": name, "status": "disabled"}
            self.store.put_registration(name, "", disabled, chain, found)
            body = {"operationId": "", "status": "disabled", "registrationState": disabled}
            return Answer(200, body)
        operation = f"5.{secrets.token_hex(8)}.{uuid.uuid4()}"
        state = self._assign(call, name, found, enrollment)
        self.store.put_registration(name, operation, state, chain, found)
        location = f"https://{call.header('host')}/{scope}/registrations/{name}/register"
        headers = {"location": location, "retry-after": str(self.retry_after_s)}
        return Answer(202, {"operationId": operation, "status": "assigning"}, headers)

    def _assign(self, call: Call, name: str, found: tuple[str, str], enrollment: dict) -> dict:
        """Give a device its hub, and the hub its device → the state of the registration."""
        kept = self.store.registration(name)
        before = kept[2] if kept else {}
        now = self.timestamp()
        state: dict = {
            "x509": {},
            "registrationId": name,
            "createdDateTimeUtc": before.get("createdDateTimeUtc", now),
        }
        last = {"lastUpdatedDateTimeUtc": now, "etag": etag()}
        linked = list(self.hubs)
        chosen = allocation.choose(enrollment, name, linked)
        fault = call.strikes.get("failed")
        if fault or chosen is None:
            code = fault.number if fault else NO_HUB
            error = {"errorCode": code, "errorMessage": "No IoT hub could be assigned."}
            return state | {"status": "failed"} | error | last
        old_hub, old_id = before.get("assignedHub", ""), before.get("deviceId", "")
        device = self.store.device(old_hub, old_id) or {}
        initial = device.get("initialHub")
        hub, substatus = allocation.reprovision(enrollment, chosen, before, initial, linked)
        device_id = enrollment.get("deviceId") or name
        if (old_hub, old_id) != (hub, device_id):
            if old_hub in self.hubs:
                self.hubs[old_hub].disconnect(old_id)
            self.store.delete_device(old_hub, old_id)
        identity = {
            "kind": found[0],
            "registrationId": name,
            "thumbprint": call.client.thumbprints[0],
            "status": device.get("status", "enabled"),
            "initialHub": initial or hub,
        }
        self.store.put_device(hub, device_id, identity)
        assigned = {
            "assignedHub": hub,
            "deviceId": device_id,
            "status": "assigned",
            "substatus": substatus,
        }
        return state | assigned | last

    def _operation(self, call: Call, scope: str, name: str, operation: str) -> Answer:
        self._device_call(call, "GET", scope)
        if wait_s := self.limits.wait_s(self.limits.polls, name.lower()):
            # Inferred: the code; documented is status 429.
            raise Refusal(429, 429001, "Too many requests for the operation's status.", wait_s)
        attest(call.client, name, self.store, self.now())
        registration = self.store.registration(name)
        if not registration or not operation or registration[0] != operation:
            # Inferred: the code of an unknown operation.
            raise Refusal(404, 404201, "Operation not found.")
        _, started, state, _ = registration
        if "never" in call.strikes or time.time() - started < self.assign_after_s:
            body = {
                "operationId": operation,
                "status": "assigning",
                "registrationState": {
                    "registrationId": state["registrationId"],
                    "status": "assigning",
                },
            }
            return Answer(202, body, {"retry-after": str(self.retry_after_s)})
        body = {"operationId": operation, "status": state["status"], "registrationState": state}
        return Answer(200, body)

    def _lookup(self, call: Call, scope: str, name: str) -> Answer:
        """ "Device Registration Status Lookup": the bare state of the registration."""
        self._device_call(call, "POST", scope)
        call.json()
        attest(call.client, name, self.store, self.now())
        registration = self.store.registration(name)
        if not registration:
            # Inferred: the code.
            raise Refusal(404, 404201, "Registration not found.")
        return Answer(200, registration[2])

    def _device_call(self, call: Call, method: str, scope: str) -> None:
        if call.method != method:
            raise Refusal(405, 405000, "Method not allowed.")
        if call.query.get("api-version") not in VERSIONS:
            raise Refusal(400, 400004, "The api-version is not supported.")
        if scope != self.store.id_scope:
            # Inferred: an unknown ID scope is refused like an unknown certificate.
            raise Refusal(401, 401002, "Unauthorized")
