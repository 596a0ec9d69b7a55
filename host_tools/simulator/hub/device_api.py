"""The simulated IoT hub over HTTPS: telemetry, and cloud-to-device messages.

Sources: Azure REST reference, "Send Device Event", "Receive Device Bound Notification" and the
calls after it; the how-to that dps/device_api.py names, for the answer 204; "IoT Hub quotas and
throttling"; azure-iot-sdk-c#1789 for the legacy error body, and "Troubleshoot IoT Hub error codes"
for the newer one.
"""

from typing import Any

from ..attestation import enrollment_of
from ..call import ApiError, Call, Response, lower_case, timestamp
from ..http_service import HttpService
from ..tls import Client
from .batch import BATCH_TYPE, parse_batch

SERVER = {"vary": "Origin", "server": "Microsoft-HTTPAPI/2.0"}
VERSIONS = ("2016-11-14", "2018-06-30", "2020-03-13", "2020-09-30", "2021-04-12")

# The names in a legacy error body, by errorCode or, if that is not here, by status.
ERROR_NAMES = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "IotHubQuotaExceeded",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    412: "PreconditionFailed",
    413: "MessageTooLarge",
    415: "UnsupportedMediaType",
    429: "ThrottlingException",
    500: "ServerError",
    503: "ServiceUnavailable",
    403001: "IotHubSuspended",
    403004: "DeviceMaximumQueueDepthExceeded",
    403012: "DeviceDisabled",
    404001: "DeviceNotFound",
    412002: "DeviceMessageLockLost",
}

# Cloud-to-device messages: the largest body, how many wait for a device, how long one stays
# locked, and how often one is delivered.
BODY_LIMIT = 64 * 1024
QUEUE_LIMIT = 50
LOCK_S = 60
MAX_DELIVERIES = 10


def _not_simulated(path: list[str]) -> str:
    """What a real hub has at a path, and this one has not; "" for nothing."""
    match path:
        case ["$iothub", "websocket"]:
            return "MQTT over WebSockets is not simulated: use port 8883"
        case ["devices", _, "files", *_]:
            return "file upload is not simulated"
        case ["devices" | "twins" | "jobs" | "configurations" | "statistics" | "messages", *_]:
            return "the hub's service API is not simulated: use 'microdps hub'"
    return ""


class Hub(HttpService):
    """A hub. Its host is known when it listens; DPS assigns devices to this host.

    errors       "legacy" or "new": the body of its errors
    connections  device ID → its MQTT connection, one for each device
    """

    def __init__(self, *args, errors: str = "legacy"):
        super().__init__("hub", *args)
        self.errors = errors
        self.connections: dict[str, Any] = {}

    def respond(self, call: Call) -> Response:
        device_id, lock = [*call.path[1:2], ""][0], [*call.path[4:5], ""][0]
        # The REST reference writes deviceBound, and SDKs write devicebound.
        match lower_case(call.path):
            case ["devices", _, "messages", "events"]:
                self._check_call(call, "POST", device_id)
                return self._telemetry(call, device_id)
            case ["devices", _, "messages", "devicebound"]:
                self._check_call(call, "GET", device_id)
                return self._receive(device_id)
            case ["devices", _, "messages", "devicebound", _]:
                self._check_call(call, "DELETE", device_id)  # complete, or reject
                return self._settle(device_id, lock, None)
            case ["devices", _, "messages", "devicebound", _, "abandon"]:
                self._check_call(call, "POST", device_id)
                return self._settle(device_id, lock, MAX_DELIVERIES)
            case other:
                raise ApiError(404, 404000, "Resource not found", cause=_not_simulated(other))

    def error_response(self, call: Call, error: ApiError) -> Response:
        name = ERROR_NAMES.get(error.code) or ERROR_NAMES.get(error.status, "UnknownError")
        headers = SERVER | {"iothub-errorcode": name}
        if self.errors == "new":
            response = super().error_response(call, error)
            assert isinstance(response.body, dict)  # noqa: S101  for mypy
            return Response(error.status, response.body | {"info": None}, headers)
        body = {
            "Message": f"ErrorCode:{name};{error.message}",
            "ExceptionMessage": f"Tracking ID:{call.request_id}-TimeStamp:{self.timestamp()}",
        }
        return Response(error.status, body, headers)

    def _check_call(self, call: Call, method: str, device_id: str) -> None:
        call.check_method(method)
        if call.query.get("api-version") not in VERSIONS:
            raise ApiError(400, 400001, "The api-version is not supported")
        self.authorize(call.client, device_id)

    def _telemetry(self, call: Call, device_id: str) -> Response:
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in call.request.requestHeaders.getAllRawHeaders()
            if name[:7] in (b"Iothub-", b"Content")  # as Twisted spells them
        }
        if headers.get("content-type", "").partition(";")[0].strip().lower() == BATCH_TYPE:
            messages = parse_batch(call.body())
        else:
            messages = [(headers, call.body())]
        for message_headers, body in messages:
            self.accept(device_id, message_headers, body)
        return Response(204, None, SERVER)

    def accept(self, device_id: str, headers: dict[str, str], body: bytes) -> None:
        """Keep a message, and those headers that are properties of it. Raises ApiError."""
        if wait_s := self.limits.wait_s(self.limits.messages, self.host):
            raise ApiError(429, 429001, "Throttling: too many messages", wait_s)
        properties = {
            name: value
            for name, value in headers.items()
            if name.startswith(("iothub-", "content-type", "content-encoding"))
        }
        self.store.messages.add(self.host, device_id, properties, body)

    def enqueue(self, device_id: str, body: bytes, properties: dict, expiry_s: float) -> None:
        """Keep a cloud-to-device message until the device receives it. Raises ApiError."""
        if not self.store.devices.get(self.host, device_id):
            raise ApiError(404, 404001, "The device is not registered")
        if len(body) > BODY_LIMIT:
            raise ApiError(413, 413001, "A message for a device has at most 64 KB")
        if self.store.cloud_to_device.count(self.host, device_id, self.now()) >= QUEUE_LIMIT:
            raise ApiError(403, 403004, f"{QUEUE_LIMIT} messages wait for the device already")
        now = self.now()
        record = {"properties": properties, "enqueued": self.timestamp()}
        self.store.cloud_to_device.put(self.host, device_id, record, body, now + expiry_s)
        if connection := self.connections.get(device_id):
            connection.deliver()

    def lock_next(self, device_id: str, until: float, prefix: str = "") -> tuple | None:
        """Lock the next message for a device, as CloudToDevice.lock_next() does."""
        queue = self.store.cloud_to_device
        return queue.lock_next(self.host, device_id, self.now(), until, prefix)

    def _receive(self, device_id: str) -> Response:
        found = self.lock_next(device_id, self.now() + LOCK_S)
        if found is None:
            return Response(204, None, SERVER)
        lock, number, deliveries, record, body = found
        headers = {
            "etag": f'"{lock}"',
            "iothub-sequencenumber": str(number),
            "iothub-to": f"/devices/{device_id}/messages/deviceBound",
            "iothub-ack": "none",
            "iothub-deliverycount": str(deliveries - 1),
            "iothub-enqueuedtime": record["enqueued"],
        }
        return Response(200, body, SERVER | headers | record["properties"])

    def _settle(self, device_id: str, lock: str, max_deliveries: int | None) -> Response:
        """Complete, reject or abandon a message."""
        lock = lock.strip('"')
        queue = self.store.cloud_to_device
        if not queue.settle(self.host, device_id, lock, self.now(), max_deliveries):
            raise ApiError(412, 412002, "The message is not locked, or no longer")
        return Response(204, None, SERVER)

    def disconnect(self, device_id: str) -> None:
        """End a device's MQTT connection."""
        if connection := self.connections.get(device_id):
            connection.end("the device has left the hub")

    def authorize(self, client: Client, device_id: str) -> None:
        """Check that a client is the device: it has the certificate with which it registered.

        With another reading of the documents, a device of a group may have any certificate for its
        ID that the group accepts. Raises ApiError.
        """
        device = self.store.devices.get(self.host, device_id)
        try:
            if not device:
                raise ApiError(
                    401, 401002, "", cause=f"the hub does not know the device {device_id!r}"
                )
            if not client.chain:
                raise ApiError(401, 401002, "", cause="the client sent no certificate")
            if device["kind"] == "group" and self.context.readings.group_by_issuer:
                self._check_group(client, device["registrationId"])
            elif client.thumbprints[0] != device["thumbprint"]:
                cause = f"the leaf's thumbprint is {client.thumbprints[0]}, and the device"
                cause += f" registered with {device['thumbprint']}: a new leaf registers first"
                raise ApiError(401, 401003, "", cause=cause)
            self._check_validity(client)
        except ApiError as error:
            raise ApiError(401, error.code, "Unauthorized", cause=error.cause) from error
        if device.get("status") == "disabled":
            raise ApiError(403, 403012, "The device is disabled")

    def _check_group(self, client: Client, registration_id: str) -> None:
        stored_ca = self.context.readings.stored_ca
        found = enrollment_of(client, registration_id, self.store, self.now(), stored_ca)
        if found[0] != "group":
            cause = f"the leaf is now in the individual enrollment {found[1]!r}"
            raise ApiError(401, 401003, "", cause=cause)

    def _check_validity(self, client: Client) -> None:
        """Raises ApiError if the leaf is not valid now. Inferred: the error."""
        start, end = client.leaf_validity
        if not start <= self.now() <= end:
            cause = f"the leaf is valid from {timestamp(start)} to {timestamp(end)}"
            raise ApiError(401, 401002, "", cause=cause)
