"""The error that an answer of DPS or IoT Hub stands for. Loaded when there is one."""

from microdps.errors import ProtocolError, ServiceError
from microdps.protocol.answer import header, json_object
from microdps.protocol.printable import printable


def error(
    code, where: str, status: int, error_code, message, tracking_id, retry_s: int = 0
) -> ServiceError:
    """A ServiceError with all its attributes. The peer's own are of the types that ServiceError
    names, cut and printable."""
    if not isinstance(error_code, int) or not 100 <= error_code <= 999_999:
        error_code = printable(error_code, 64) or None
    made = ServiceError(code or error_code or status, where)
    made.status = status
    made.error_code = error_code
    made.message = printable(message, 256)
    made.tracking_id = printable(tracking_id)
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
    except (ProtocolError, MemoryError):  # not the service's own: its status says enough
        body = {}
    code = body.get("errorCode")
    message = body.get("message")
    tracking = body.get("trackingId")
    if isinstance(body.get("Message"), str):
        name, _, message = body["Message"].partition(";")
        code = name.split(":")[-1]
        tracking = printable(body.get("ExceptionMessage"), 256).split("-TimeStamp")[0]
        tracking = tracking.replace("Tracking ID:", "")
    tracking = tracking or header(response, "x-ms-request-id")
    return error(None, where, status, code, message, tracking, response.retry_s)


def refusal(answer: dict, status, where: str) -> Exception:
    """The error for an operation of DPS whose final status is not assigned."""
    state = answer.get("registrationState") or {}
    if status not in ("failed", "disabled") or not isinstance(state, dict):
        return ProtocolError("answer", where + ": status")
    return error(status, where, 200, state.get("errorCode"), state.get("errorMessage"), "")


def too_late(response, status, where: str) -> ServiceError:
    """The error for an operation of DPS that has not come to its end in time."""
    return error("deadline", where, response.status, None, status, "")


def connack(code: int, where: str) -> ServiceError:
    """The error for a connection that a hub's MQTT refuses (MQTT 3.1.1, 3.2.2.3)."""
    status = {3: 503, 4: 401, 5: 401}.get(code, 400)
    return error("connack", where, status, None, "MQTT return code %d" % code, "")
