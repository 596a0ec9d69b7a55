"""What DPS says of a registration. Apart from the flow that asks, for both need memory.

Source: Azure REST reference, Device Provisioning Service, RuntimeRegistration.
"""

from micropython import const

from microdps.errors import ProtocolError
from microdps.protocol import Assignment
from microdps.protocol.url import TOKEN, quote, split_host

# An operation ID is of some 60 characters.
_OPERATION = const(256)

# What a device ID is made of ("Understand the identity registry in your IoT hub").
_DEVICE_ID = TOKEN[:65] + b"+%#*?!(),:=@$'"


def read(connection, host: str):
    """Read an answer of DPS → its status, and what it says: the Assignment if that is "assigned",
    else the path segment of the operation to ask for next.

    Raises ServiceError if it is an error of DPS, or DPS has decided against the device;
    ProtocolError.
    """
    if connection.status not in (200, 202):
        from microdps.protocol.service_error import failure

        raise failure(connection, host)
    from microdps.protocol.answer import json_object

    answer = json_object(connection, host)
    status = answer.get("status")
    if status == "assigned":
        return status, _assignment(answer, host)
    return status, _operation(answer, status, host)


def _operation(answer: dict, status, host: str) -> str:
    """The operation ID in an answer of DPS, for a path. Raises ProtocolError; ServiceError if DPS
    has decided against the device."""
    if status not in ("unassigned", "assigning"):
        from microdps.protocol.service_error import refusal

        raise refusal(answer, status, host)
    operation = answer.get("operationId")
    if isinstance(operation, str) and 0 < len(operation) <= _OPERATION:
        try:
            return quote(operation)
        except ValueError:  # half of a surrogate pair
            pass
    raise ProtocolError("answer", host + ": operationId")


def _assignment(answer: dict, host: str) -> Assignment:
    """What an answer of DPS says of a device that is assigned. Raises ProtocolError."""
    from microdps.protocol.printable import printable

    state = answer.get("registrationState", {})
    try:
        hub = state["assignedHub"]
        device_id = state["deviceId"]
        split_host(hub)
        if not 0 < len(device_id) <= 128 or device_id.encode().strip(_DEVICE_ID):
            raise ValueError
        substatus = printable(state.get("substatus"), 64)
        return Assignment(hub, device_id, "assigned", substatus, state.get("payload"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProtocolError("answer", host + ": registrationState")
