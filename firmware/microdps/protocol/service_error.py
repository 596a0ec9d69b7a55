"""The error that an answer of DPS or IoT Hub stands for. Loaded when there is one."""

from microdps.errors import ProtocolError, ServiceError
from microdps.protocol.answer import header, json_object


def error(
    code, where: str, status: int, error_code, message, tracking_id, retry_s: int = 0
) -> ServiceError:
    """A ServiceError with all its attributes."""
    made = ServiceError(code, where)
    made.status = status
    made.error_code = error_code
    made.message = message
    made.tracking_id = tracking_id
    made.retry_s = retry_s
    return made


def failure(response, where: str) -> ServiceError:
    """The ServiceError for a response whose status is an error.

    DPS and newer hubs: {"errorCode": 401002, "trackingId": …, "message": …}
    older hubs:         {"Message": "ErrorCode:NAME;text", "ExceptionMessage": "Tracking ID:…"}
    """
    status = response.status
    try:
        body = json_object(response, where)
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
        tracking = (header(response, "x-ms-request-id") or b"").decode()
    return error(code or status, where, status, code, message or "", tracking, response.retry_s)


def refusal(answer: dict, status, where: str) -> Exception:
    """The error for an operation of DPS whose final status is not assigned."""
    state = answer.get("registrationState") or {}
    if status not in ("failed", "disabled") or not isinstance(state, dict):
        return ProtocolError("answer", where + ": status")
    message = state.get("errorMessage") or ""
    return error(status, where, 200, state.get("errorCode"), message, "")


def too_late(response, status, where: str) -> ServiceError:
    """The error for an operation of DPS that has not come to its end in time."""
    return error("deadline", where, response.status, None, status, "")


def connack(code: int, where: str) -> ServiceError:
    """The error for a connection that a hub's MQTT refuses (MQTT 3.1.1, 3.2.2.3)."""
    status = {3: 503, 4: 401, 5: 401}.get(code, 400)
    return error("connack", where, status, None, "MQTT return code %d" % code, "")
