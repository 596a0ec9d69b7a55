"""What the answers of DPS and IoT Hub have in common: the fields sent, JSON, the error bodies."""

import json

from microdps.errors import ProtocolError, ServiceError

# Those of the how-to; both services ask for them.
FIELDS = b"Content-Type: application/json\r\nContent-Encoding: utf-8\r\n"


def parse(response, where: str) -> dict:
    """The response's body, a JSON object → dict. Raises ProtocolError."""
    try:
        answer = json.loads(bytes(response.body))
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        raise ProtocolError("json", where)
    if not isinstance(answer, dict):
        raise ProtocolError("json", where)
    return answer


def check(response, where: str, good):
    """Raise the ServiceError that the response stands for, unless its status is one of the good.

    DPS and newer hubs: {"errorCode": 401002, "trackingId": …, "message": …}
    older hubs:         {"Message": "ErrorCode:NAME;text", "ExceptionMessage": "Tracking ID:…"}
    """
    status = response.status
    if status in good:
        return
    try:
        body = parse(response, where)
    except ProtocolError:  # an answer of something before the service: its status says enough
        body = {}
    code = body.get("errorCode")
    message = body.get("message")
    tracking = body.get("trackingId")
    if isinstance(body.get("Message"), str):
        name, _, message = body["Message"].partition(";")
        code = name.split(":")[-1]
        tracking = str(body.get("ExceptionMessage")).split("-TimeStamp")[0]
        tracking = tracking.replace("Tracking ID:", "")
    if not tracking:
        tracking = (response.header("x-ms-request-id") or b"").decode()
    retry_s = retry_after_s(response)
    raise ServiceError(code or status, where, status, code, message or "", tracking, retry_s)


def retry_after_s(response) -> int:
    """The response's Retry-After in seconds; 0 if it has none, or none in seconds."""
    value = response.header("retry-after") or b""
    return int(value) if value.isdigit() and len(value) < 7 else 0
