"""Admin calls, for a simulator that runs: faults, cloud-to-device messages, disabled devices.

They are on the page's port, so on loopback only. JSON both ways:

    GET    /admin/faults                                      the faults that are switched on
    POST   /admin/faults       {"fault": "hub:status=503"}    switch one on
    DELETE /admin/faults                                      switch all off
    POST   /admin/devicebound  {"deviceId", "body" or "bodyBase64", "hub", "properties", "expiryS",
                                "messageId", "correlationId", "userId", "contentType",
                                "contentEncoding"}
    POST   /admin/devices      {"deviceId", "hub", "status": "enabled" or "disabled"}
    GET    /admin/twins        the twin of the device of the query: deviceId, hub
    POST   /admin/twins        {"deviceId", "hub", "desired": {…}}  change desired properties
    POST   /admin/methods      {"deviceId", "hub", "method", "payload", "timeoutS"}

If "hub" is left out, it is the first hub that has the device.
"""

import base64
import json
import re

from twisted.internet import defer
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..call import ApiError
from ..http_service import Context
from ..hub.device_api import Hub
from ..hub.twin import check_patch, patch_twin, twin_of
from .admin_rules import EXPIRY_S, ID_LIMIT, METHOD_LIMIT_S, METHOD_S
from .parameters import parse_query

# Of a message for a device: name in a call → header over HTTPS.
SYSTEM_PROPERTIES = {
    "messageId": "iothub-messageid",
    "correlationId": "iothub-correlationid",
    "userId": "iothub-userid",
    "contentType": "content-type",
    "contentEncoding": "content-encoding",
}

# Of a direct method.
METHOD_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")

# The largest body of a call.
BODY_LIMIT = 128 * 1024


def is_for_localhost(request: Request) -> bool:
    """Is the request's host this machine's own name?

    The page of another site, whose name resolves to this machine, would send its own name.
    """
    host = (request.getHeader(b"host") or b"").rsplit(b":", 1)[0]
    return host in (b"localhost", b"127.0.0.1", b"[::1]")


class Admin(Resource):
    """The admin calls.

    The page of another site can make none of them: its browser may not send JSON to us, nor name
    us as the host.
    """

    isLeaf = True

    def __init__(self, context: Context, hubs: list[Hub]):
        super().__init__()
        self.context = context
        self.hubs = hubs

    def render(self, request: Request) -> bytes | int:
        request.setHeader("content-type", "application/json")
        try:
            if not is_for_localhost(request):
                raise ApiError(403, 403000, "the host must be localhost")
            answer = self._respond(request)
        except ApiError as error:
            return self._refuse(request, error)
        if isinstance(answer, defer.Deferred):
            answer.addCallbacks(
                lambda found: self._finish(request, _to_bytes(found)),
                lambda failure: self._finish(request, self._refusal(request, failure)),
            )
            return NOT_DONE_YET
        return _to_bytes(answer)

    def _refuse(self, request: Request, error: ApiError) -> bytes:
        request.setResponseCode(error.status)
        return _to_bytes({"error": error.message})

    def _refusal(self, request: Request, failure: Failure) -> bytes:
        """The answer to a call that failed later. Prints a traceback if that is a bug of ours."""
        if failure.check(ApiError):
            return self._refuse(request, failure.value)  # type: ignore[arg-type]
        failure.printTraceback()
        return self._refuse(request, ApiError(500, 500000, "internal error"))

    def _finish(self, request: Request, data: bytes) -> None:
        if request.channel:  # the client has not gone
            request.write(data)
            request.finish()

    def _respond(self, request: Request) -> dict | list | defer.Deferred:
        """Answer a call. Raises ApiError."""
        path = b"/".join(request.postpath or []).decode("latin-1")
        faults = self.context.faults
        match request.method, path:
            case b"GET", "faults":
                return faults.status()
            case b"DELETE", "faults":
                faults.clear()
                return []
            case b"POST", "faults":
                text = _json(request).get("fault")
                try:
                    faults.add(text if isinstance(text, str) else "")
                except ValueError as error:
                    raise ApiError(400, 400000, str(error)) from error
                return faults.status()
            case b"POST", "devicebound":
                return self._enqueue(_json(request))
            case b"POST", "devices":
                return self._set_status(_json(request))
            case b"GET", "twins":
                query = request.uri.decode("latin-1").partition("?")[2]
                return self._twin(*self._device(parse_query(query)))
            case b"POST", "twins":
                return self._change_twin(_json(request))
            case b"POST", "methods":
                return self._call_method(_json(request))
            case _, "faults" | "devicebound" | "devices" | "twins" | "methods":
                raise ApiError(405, 405000, "method not allowed")
        raise ApiError(404, 404000, "no such call")

    def _enqueue(self, body: dict) -> dict:
        """Leave a cloud-to-device message for a device."""
        hub, device_id = self._device(body)
        properties = body.get("properties", {})
        if not isinstance(properties, dict) or not all(
            isinstance(value, str) and (name + value).isascii() and (name + value).isprintable()
            for name, value in properties.items()
        ):
            raise ApiError(400, 400000, "properties must be an object with texts of ASCII")
        expiry_s = body.get("expiryS", EXPIRY_S)
        if type(expiry_s) not in (int, float) or expiry_s <= 0:
            raise ApiError(400, 400000, "expiryS must be a number above 0")
        headers = {f"iothub-app-{name.lower()}": value for name, value in properties.items()}
        headers |= _system_properties(body)
        hub.enqueue(device_id, _content(body), headers, expiry_s)
        waiting = self.context.store.cloud_to_device.count(hub.host, device_id, 0)
        return {"hub": hub.host, "waiting": waiting}

    def _set_status(self, body: dict) -> dict:
        """Enable or disable a device."""
        hub, device_id = self._device(body)
        status = _text(body, "status")
        if status not in ("enabled", "disabled"):
            raise ApiError(400, 400000, "status must be enabled or disabled")
        devices = self.context.store.devices
        record = devices.get(hub.host, device_id) or {}
        devices.put(hub.host, device_id, record | {"status": status})
        if status == "disabled":
            hub.disconnect(device_id)
        return {"hub": hub.host, "status": status}

    def _twin(self, hub: Hub, device_id: str) -> dict:
        return {"deviceId": device_id, "hub": hub.host} | twin_of(
            self.context.store, hub.host, device_id
        )

    def _change_twin(self, body: dict) -> dict:
        """Change the desired properties of a device, and tell the device."""
        hub, device_id = self._device(body)
        patch = body.get("desired")
        if not isinstance(patch, dict):
            raise ApiError(400, 400000, "desired is missing, or no object")
        check_patch(patch)
        version = patch_twin(self.context.store, hub.host, device_id, "desired", patch)
        if connection := hub.connections.get(device_id):
            connection.tell_desired(patch, version)
        return self._twin(hub, device_id)

    def _call_method(self, body: dict) -> defer.Deferred:
        """Call a direct method → a Deferred with the device's answer."""
        hub, device_id = self._device(body)
        method, timeout_s = _text(body, "method"), body.get("timeoutS", METHOD_S)
        if not METHOD_NAME.fullmatch(method):
            raise ApiError(400, 400000, "method must have 1 to 100 letters, digits, - . or _")
        if type(timeout_s) not in (int, float) or not 0 < timeout_s <= METHOD_LIMIT_S:
            raise ApiError(400, 400000, f"timeoutS must be from 0 to {METHOD_LIMIT_S}")
        connection = hub.connections.get(device_id)
        if not connection:
            raise ApiError(404, 404103, f"{device_id} is not connected by MQTT")
        payload = json.dumps(body.get("payload")).encode()
        call = connection.call_method(method, payload, timeout_s)
        return call.addCallback(_method_answer)

    def _device(self, body: dict) -> tuple[Hub, str]:
        """The hub and the device ID of a call. Raises ApiError."""
        device_id = _text(body, "deviceId")
        for hub in self.hubs:
            wanted = body.get("hub") in (None, hub.host)
            if wanted and self.context.store.devices.get(hub.host, device_id):
                return hub, device_id
        raise ApiError(404, 404001, f"no hub has the device {device_id}")


def _to_bytes(answer: dict | list) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _method_answer(found: tuple[int, bytes]) -> dict:
    status, payload = found
    try:
        return {"status": status, "payload": json.loads(payload or b"null")}
    except (ValueError, RecursionError):
        return {"status": status, "payload": payload.decode(errors="replace")}


def _content(body: dict) -> bytes:
    """The content of a message for a device. Raises ApiError."""
    if "bodyBase64" not in body:
        return _text(body, "body").encode()
    try:
        return base64.b64decode(_text(body, "bodyBase64"), validate=True)
    except ValueError as error:
        raise ApiError(400, 400000, "bodyBase64 is no base64") from error


def _system_properties(body: dict) -> dict[str, str]:
    """The IDs and the content type of a message. Raises ApiError."""
    found = {}
    for name, header in SYSTEM_PROPERTIES.items():
        if body.get(name) is not None:
            found[header] = text = _text(body, name)
            if not (text.isascii() and text.isprintable() and 0 < len(text) <= ID_LIMIT):
                raise ApiError(400, 400000, f"{name} must have 1 to {ID_LIMIT} ASCII characters")
    return found


def _json(request: Request) -> dict:
    if (request.getHeader(b"content-type") or b"").partition(b";")[0] != b"application/json":
        raise ApiError(415, 415000, "the Content-Type must be application/json")
    data = request.content.read(BODY_LIMIT + 1)  # type: ignore[attr-defined]
    if len(data) > BODY_LIMIT:
        raise ApiError(413, 413000, "the call is too large")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, 400000, "the call must be a JSON object")
    return body


def _text(body: dict, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ApiError(400, 400000, f"{name} is missing, or no text")
    return value
