"""What one may do to the simulator while it runs: faults, messages to devices, disabled devices.

On the page's port, so on loopback only. JSON both ways:

    GET    /admin/faults                                      the faults that are switched on
    POST   /admin/faults       {"fault": "hub:status=503"}    one more
    DELETE /admin/faults                                      no more faults
    POST   /admin/devicebound  {"deviceId", "body", "hub", "properties", "expiryS"}
    POST   /admin/devices      {"deviceId", "hub", "status": "enabled" or "disabled"}

The hub may be left out: then it is the first one that has the device.
"""

import json

from twisted.web.resource import Resource
from twisted.web.server import Request

from ..http_service import Common, Refusal
from ..hub.device_api import WAITS_S, Hub

# The largest call.
BODY = 128 * 1024


def local(request: Request) -> bool:
    """Was this machine's own name asked for? Another site's page, whose name resolves to us, would
    ask for its own."""
    host = (request.getHeader(b"host") or b"").rsplit(b":", 1)[0]
    return host in (b"localhost", b"127.0.0.1", b"[::1]")


class Admin(Resource):
    """The admin calls. A page of another site can make none of them: its browser may not send JSON
    to us, nor name us as the host."""

    isLeaf = True

    def __init__(self, common: Common, hubs: list[Hub]):
        super().__init__()
        self.common = common
        self.hubs = hubs

    def render(self, request: Request) -> bytes:
        request.setHeader("content-type", "application/json")
        try:
            if not local(request):
                raise Refusal(403, 403000, "the host must be localhost")
            answer = self._answer(request)
        except Refusal as refusal:
            request.setResponseCode(refusal.status)
            answer = {"error": refusal.message}
        return json.dumps(answer).encode() + b"\n"

    def _answer(self, request: Request) -> dict | list:
        path = b"/".join(request.postpath or []).decode("latin-1")
        faults = self.common.faults
        match request.method, path:
            case b"GET", "faults":
                return faults.listed()
            case b"DELETE", "faults":
                faults.clear()
                return []
            case b"POST", "faults":
                text = _json(request).get("fault")
                try:
                    faults.add(text if isinstance(text, str) else "")
                except ValueError as error:
                    raise Refusal(400, 400000, str(error)) from error
                return faults.listed()
            case b"POST", "devicebound":
                return self._devicebound(_json(request))
            case b"POST", "devices":
                return self._device(_json(request))
            case _, "faults" | "devicebound" | "devices":
                raise Refusal(405, 405000, "method not allowed")
        raise Refusal(404, 404000, "no such call")

    def _devicebound(self, given: dict) -> dict:
        hub, device_id = self._of(given)
        properties = given.get("properties", {})
        if not isinstance(properties, dict) or not all(
            isinstance(value, str) and (name + value).isascii() and (name + value).isprintable()
            for name, value in properties.items()
        ):
            raise Refusal(400, 400000, "properties must be an object with texts of ASCII")
        expiry_s = given.get("expiryS", WAITS_S)
        if type(expiry_s) not in (int, float) or expiry_s <= 0:
            raise Refusal(400, 400000, "expiryS must be a number above 0")
        names = {f"iothub-app-{name.lower()}": value for name, value in properties.items()}
        hub.enqueue(device_id, _text(given, "body").encode(), names, expiry_s)
        return {"hub": hub.host, "waiting": self.common.store.waiting(hub.host, device_id, 0)}

    def _device(self, given: dict) -> dict:
        hub, device_id = self._of(given)
        status = _text(given, "status")
        if status not in ("enabled", "disabled"):
            raise Refusal(400, 400000, "status must be enabled or disabled")
        record = self.common.store.device(hub.host, device_id) or {}
        self.common.store.put_device(hub.host, device_id, record | {"status": status})
        if status == "disabled":
            hub.disconnect(device_id)
        return {"hub": hub.host, "status": status}

    def _of(self, given: dict) -> tuple[Hub, str]:
        """The hub and the device that a call is about. Raises Refusal."""
        device_id = _text(given, "deviceId")
        for hub in self.hubs:
            wanted = given.get("hub") in (None, hub.host)
            if wanted and self.common.store.device(hub.host, device_id):
                return hub, device_id
        raise Refusal(404, 404001, f"no hub has the device {device_id}")


def _json(request: Request) -> dict:
    if (request.getHeader(b"content-type") or b"").partition(b";")[0] != b"application/json":
        raise Refusal(415, 415000, "the Content-Type must be application/json")
    body = request.content.read(BODY + 1)  # type: ignore[attr-defined]
    if len(body) > BODY:
        raise Refusal(413, 413000, "the call is too large")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refusal(400, 400000, "the call must be a JSON object")
    return given


def _text(given: dict, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise Refusal(400, 400000, f"{name} is missing, or no text")
    return value
