"""The simulated IoT hub: its device API for telemetry.

Sources: Azure REST reference, "Send Device Event"; the how-to named in dps.py, whose 204 this is;
the error body as azure-iot-sdk-c#1789 shows it.
"""

from cryptography import x509

from host_tools.simulator.answers import Answer, Call, Refusal, Service, thumbprint, timestamp
from host_tools.simulator.attestation import enrollment_of

SERVER = {"vary": "Origin", "server": "Microsoft-HTTPAPI/2.0"}
VERSIONS = ("2016-11-14", "2018-06-30", "2020-03-13", "2020-09-30", "2021-04-12")

# The names of a legacy error body by status.
NAMES = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    413: "MessageTooLarge",
}


class Hub(Service):
    """A hub. Its host, known once it listens, is what DPS assigns devices to."""

    host = ""

    def __init__(self, *args):
        super().__init__("hub", *args)

    def answer(self, call: Call) -> Answer:
        match call.path:
            case ["devices", device_id, "messages", "events"]:
                return self._telemetry(call, device_id)
            case _:
                raise Refusal(404, 404000, "Resource not found")

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        name = NAMES[refusal.status]
        body = {
            "Message": f"ErrorCode:{name};{refusal.message}",
            "ExceptionMessage": f"Tracking ID:{call.request_id}-TimeStamp:{timestamp()}",
        }
        return Answer(refusal.status, body, SERVER | {"iothub-errorcode": name})

    def _telemetry(self, call: Call, device_id: str) -> Answer:
        if call.method != "POST":
            raise Refusal(405, 405000, "Method not allowed")
        if call.query.get("api-version") not in VERSIONS:
            raise Refusal(400, 400001, "The api-version is not supported")
        self.authorize(call.chain, device_id)
        properties = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in call.request.requestHeaders.getAllRawHeaders()
            if name.lower().startswith((b"iothub-", b"content-type", b"content-encoding"))
        }
        self.store.add_message(self.host, device_id, properties, call.body())
        return Answer(204, None, SERVER)

    def authorize(self, chain: list[x509.Certificate], device_id: str) -> None:
        """A device may speak as itself: with the certificate that DPS gave the hub, or, if it came
        by a group, with any for its ID that the group's certificate stands behind.
        Raises Refusal.
        """
        device = self.store.device(self.host, device_id)
        try:
            if not device or not chain:
                raise Refusal(401, 401002, "Unauthorized")
            if device["kind"] == "group":
                found = enrollment_of(chain, device["registrationId"], self.store)
                known = found[0] == "group"
            else:
                known = thumbprint(chain[0]) == device["thumbprint"]
            if not known:
                raise Refusal(401, 401003, "Unauthorized")
        except Refusal as refusal:
            raise Refusal(401, refusal.code, "Unauthorized") from refusal
