"""Admin calls, for a simulator that runs: faults, cloud-to-device messages, disabled devices.

They are on the page's port, so on loopback only. JSON both ways:

    GET    /admin/faults                                      the faults that are switched on
    POST   /admin/faults       {"fault": "hub:status=503"}    switch one on
    DELETE /admin/faults                                      switch all off
    POST   /admin/devicebound  {"deviceId", "body", "hub", "properties", "expiryS"}
    POST   /admin/devices      {"deviceId", "hub", "status": "enabled" or "disabled"}

If "hub" is left out, it is the first hub that has the device.
"""

import json

from twisted.web.resource import Resource
from twisted.web.server import Request

from ..call import ApiError
from ..http_service import Context
from ..hub.device_api import EXPIRY_S, Hub

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

    def render(self, request: Request) -> bytes:
        request.setHeader("content-type", "application/json")
        answer: dict | list
        try:
            if not is_for_localhost(request):
                raise ApiError(403, 403000, "the host must be localhost")
            answer = self._respond(request)
        except ApiError as error:
            request.setResponseCode(error.status)
            answer = {"error": error.message}
        return json.dumps(answer).encode() + b"\n"

    def _respond(self, request: Request) -> dict | list:
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
            case _, "faults" | "devicebound" | "devices":
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
        hub.enqueue(device_id, _text(body, "body").encode(), headers, expiry_s)
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

    def _device(self, body: dict) -> tuple[Hub, str]:
        """The hub and the device ID of a call. Raises ApiError."""
        device_id = _text(body, "deviceId")
        for hub in self.hubs:
            wanted = body.get("hub") in (None, hub.host)
            if wanted and self.context.store.devices.get(hub.host, device_id):
                return hub, device_id
        raise ApiError(404, 404001, f"no hub has the device {device_id}")


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
