"""The simulated IoT hub: its device API for telemetry and for cloud-to-device messages.

Sources: Azure REST reference, "Send Device Event", "Receive Device Bound Notification" and what
follows; the how-to named in dps.py, whose 204 this is; "IoT Hub quotas and throttling"; the legacy
error body as azure-iot-sdk-c#1789 shows it, the newer one as "Troubleshoot IoT Hub error codes".
"""

import base64
import json
from typing import Any

from ..attestation import enrollment_of
from ..http_service import Answer, Call, Refusal, Service
from ..tls import Client

SERVER = {"vary": "Origin", "server": "Microsoft-HTTPAPI/2.0"}
VERSIONS = ("2016-11-14", "2018-06-30", "2020-03-13", "2020-09-30", "2021-04-12")

# The names of a legacy error body, by errorCode, else by status.
NAMES = {
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

# A message, or a batch: bytes. Inferred: that a batch's size is counted as the reference says, the
# body, the values of system properties, the names and values of others.
MESSAGE = 256 * 1024
BATCH_TYPE = "application/vnd.microsoft.iothub.json"

# Cloud-to-device messages: the largest, the most that wait for a device, how long one stays
# locked, how often it is delivered at most, how long it waits where nothing else is asked for.
DEVICEBOUND = 64 * 1024
QUEUE = 50
LOCK_S = 60
DELIVERIES = 10
WAITS_S = 3600


class Hub(Service):
    """A hub. Its host, known once it listens, is what DPS assigns devices to.

    errors  "legacy" or "new": the body of its error answers
    mqtt    its devices' connections by MQTT, once that listens
    """

    host = ""
    mqtt: Any = None

    def __init__(self, *args, errors: str = "legacy"):
        super().__init__("hub", *args)
        self.errors = errors

    def answer(self, call: Call) -> Answer:
        match call.path:
            case ["devices", device_id, "messages", "events"]:
                self._device_call(call, "POST", device_id)
                return self._telemetry(call, device_id)
            case ["devices", device_id, "messages", "devicebound"]:
                self._device_call(call, "GET", device_id)
                return self._receive(device_id)
            case ["devices", device_id, "messages", "devicebound", lock]:
                self._device_call(call, "DELETE", device_id)  # complete, or reject
                return self._settle(device_id, lock, None)
            case ["devices", device_id, "messages", "devicebound", lock, "abandon"]:
                self._device_call(call, "POST", device_id)
                return self._settle(device_id, lock, DELIVERIES)
            case _:
                raise Refusal(404, 404000, "Resource not found")

    def refused(self, call: Call, refusal: Refusal) -> Answer:
        name = NAMES.get(refusal.code) or NAMES.get(refusal.status, "UnknownError")
        headers = SERVER | {"iothub-errorcode": name}
        if self.errors == "new":
            answer = super().refused(call, refusal)
            assert isinstance(answer.body, dict)  # noqa: S101  as Service.refused makes it
            return Answer(refusal.status, answer.body | {"info": None}, headers)
        body = {
            "Message": f"ErrorCode:{name};{refusal.message}",
            "ExceptionMessage": f"Tracking ID:{call.request_id}-TimeStamp:{self.timestamp()}",
        }
        return Answer(refusal.status, body, headers)

    def _device_call(self, call: Call, method: str, device_id: str) -> None:
        if call.method != method:
            raise Refusal(405, 405000, "Method not allowed")
        if call.query.get("api-version") not in VERSIONS:
            raise Refusal(400, 400001, "The api-version is not supported")
        self.authorize(call.client, device_id)

    def _telemetry(self, call: Call, device_id: str) -> Answer:
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in call.request.requestHeaders.getAllRawHeaders()
        }
        if headers.get("content-type", "").partition(";")[0].strip().lower() == BATCH_TYPE:
            messages = _batch(call.body())
        else:
            messages = [(headers, call.body())]
        for given, body in messages:
            self.accept(device_id, given, body)
        return Answer(204, None, SERVER)

    def accept(self, device_id: str, headers: dict[str, str], body: bytes) -> None:
        """Keep a message, with those of the headers that are properties. Raises Refusal."""
        if wait_s := self.limits.wait_s(self.limits.messages, self.host):
            raise Refusal(429, 429001, "Throttling: too many messages", wait_s)
        properties = {
            name: value
            for name, value in headers.items()
            if name.startswith(("iothub-", "content-type", "content-encoding"))
        }
        self.store.add_message(self.host, device_id, properties, body)

    def enqueue(self, device_id: str, body: bytes, properties: dict, expiry_s: float) -> None:
        """Let a message wait for a device. Raises Refusal."""
        if not self.store.device(self.host, device_id):
            raise Refusal(404, 404001, "The device is not registered")
        if len(body) > DEVICEBOUND:
            raise Refusal(413, 413001, "A message for a device has at most 64 KB")
        if self.store.waiting(self.host, device_id, self.now()) >= QUEUE:
            raise Refusal(403, 403004, f"{QUEUE} messages wait for the device already")
        now = self.now()
        record = {"properties": properties, "enqueued": self.timestamp()}
        self.store.enqueue(self.host, device_id, record, body, now + expiry_s)

    def _receive(self, device_id: str) -> Answer:
        now = self.now()
        self.store.waiting(self.host, device_id, now)
        found = self.store.lock_next(self.host, device_id, now, now + LOCK_S)
        if found is None:
            return Answer(204, None, SERVER)
        lock, number, deliveries, record, body = found
        headers = {
            "etag": f'"{lock}"',
            "iothub-sequencenumber": str(number),
            "iothub-to": f"/devices/{device_id}/messages/deviceBound",
            "iothub-ack": "none",
            "iothub-deliverycount": str(deliveries - 1),
            "iothub-enqueuedtime": record["enqueued"],
        }
        return Answer(200, body, SERVER | headers | record["properties"])

    def _settle(self, device_id: str, lock: str, most: int | None) -> Answer:
        lock = lock.strip('"')
        if not self.store.settle(self.host, device_id, lock, self.now(), most):
            raise Refusal(412, 412002, "The message is not locked, or no longer")
        return Answer(204, None, SERVER)

    def disconnect(self, device_id: str) -> None:
        """End a device's connection by MQTT."""
        connection = self.mqtt.devices.get(device_id) if self.mqtt else None
        if connection:
            connection.end("the device has left the hub")

    def authorize(self, client: Client, device_id: str) -> None:
        """A device may speak as itself: with the certificate that DPS gave the hub, or, if it came
        by a group, with any for its ID that the group's certificate stands behind.
        Raises Refusal.
        """
        device = self.store.device(self.host, device_id)
        try:
            if not device or not client.chain:
                raise Refusal(401, 401002, "Unauthorized")
            if device["kind"] == "group":
                found = enrollment_of(client, device["registrationId"], self.store, self.now())
                known = found[0] == "group"
            else:
                known = client.thumbprints[0] == device["thumbprint"]
            if not known:
                raise Refusal(401, 401003, "Unauthorized")
        except Refusal as refusal:
            raise Refusal(401, refusal.code, "Unauthorized") from refusal
        if device.get("status") == "disabled":
            raise Refusal(403, 403012, "The device is disabled")


def _batch(body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The messages of a batch: properties and body of each. Raises Refusal, for all or none is
    accepted."""
    wrong = Refusal(400, 400001, "The batch is invalid")
    try:
        given = json.loads(body)
        if not isinstance(given, list) or not given:
            raise wrong
        messages = []
        for one in given:
            text, encoded = one["body"], one.get("base64Encoded", True)
            properties = one.get("properties") or {}
            if not all(isinstance(value, str) for value in properties.values()):
                raise wrong
            data = base64.b64decode(text, validate=True) if encoded else text.encode()
            messages.append(({name.lower(): value for name, value in properties.items()}, data))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise wrong from error
    size = sum(
        len(data)
        + sum(len(value) for value in given.values())
        + sum(len(name) for name in given if name.startswith("iothub-app-"))
        for given, data in messages
    )
    if size > MESSAGE:
        raise Refusal(413, 413001, "The batch is too large")
    return messages
