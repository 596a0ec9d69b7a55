"""The rows of the page's answers: messages, enrollments and requests."""

import base64
import json
import math

from microdps import advice

from ..hub.device_api import ERROR_NAMES
from ..store.printable import printable
from .excerpt import EXCERPT, excerpt

# How many characters of a property are shown with a whole body.
WHOLE_TEXT = 4096

# Of a body's numbers, how many are shown, and how deep in the object they may be.
NUMBER_LIMIT = 12
DEPTH_LIMIT = 3


def message_row(
    number: int,
    at: float,
    hub: str,
    device: str,
    size: int,
    body: bytes,
    *,
    properties: dict[str, str] | None = None,
    whole: bool = False,
) -> dict[str, object]:
    """A message.

    body   its start, or all of it
    size   of the whole body, in bytes
    whole  add the whole body: as text, and in base64 if it is no UTF-8
    """
    more: dict[str, object] = {}
    if properties is not None:
        limit = WHOLE_TEXT if whole else EXCERPT
        more["properties"] = {
            printable(name, limit): printable(text, limit) for name, text in properties.items()
        }
    if whole:
        more |= _whole(body)
    return more | {
        "number": number,
        "at": at,
        "hub": hub,
        "device": device,
        "size": size,
        "body": excerpt(body[: 4 * EXCERPT].decode(errors="replace"), size),
        "numbers": numbers(body) if size == len(body) else {},
    }


def _whole(body: bytes) -> dict[str, object]:
    try:
        return {"whole": body.decode()}
    except UnicodeDecodeError:
        coded = base64.b64encode(body).decode()
        return {"whole": body.decode(errors="replace"), "base64": coded}


def numbers(body: bytes) -> dict[str, float]:
    """The numbers of a JSON body by their names; in an inner object, the name is outer.inner."""
    found: dict[str, float] = {}

    def collect(name: str, value, depth: int) -> None:
        if isinstance(value, dict) and depth < DEPTH_LIMIT:
            for key, inner in value.items():
                collect(f"{name}.{key}" if name else key, inner, depth + 1)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                return
            if math.isfinite(number) and len(found) < NUMBER_LIMIT:
                found[excerpt(name or "value")] = number

    try:
        collect("", json.loads(body), 0)
    except (ValueError, RecursionError):  # not JSON, so it has no numbers
        return {}
    return found


def enrollment_row(kind: str, name: str, record: dict) -> dict:
    """An enrollment."""
    x509 = record.get("attestation", {}).get("x509", {})
    ca_name = (x509.get("caReferences") or {}).get("primary")
    certs = x509.get("signingCertificates") or x509.get("clientCertificates") or {}
    info: dict[str, str] = next(
        (cert["info"] for cert in certs.values() if cert and "info" in cert), {}
    )
    one = record.get("iotHubHostName")
    return {
        "kind": kind,
        "id": record.get("registrationId") or record.get("enrollmentGroupId") or name,
        "key": name,
        "status": record.get("provisioningStatus", "enabled"),
        "certificate": ca_name or info.get("subjectName", ""),
        "until": "" if ca_name else info.get("notAfterUtc", ""),
        "policy": record.get("allocationPolicy", ""),
        "hubs": record.get("iotHubs") or ([one] if one else []),
        "deviceId": record.get("deviceId") or "",
    }


def request_row(
    number: int, at: float, service: str, method: str, path: str, status: int, error: str
) -> dict:
    """A request, with an explanation if it has an error."""
    return {
        "number": number,
        "at": at,
        "service": service,
        "method": method,
        "path": excerpt(path),
        "status": status,
        "error": excerpt(error),
        "explanation": explanation(service, method, status, error),
    }


def explanation(service: str, method: str, status: int, error: str) -> dict[str, str] | None:
    """The text of the device's own table for an error: what happened, and what to check."""
    number = error.partition(" ")[0]
    if not error or method == "CLOSE":  # the error of a close needs no explanation
        return None
    code = int(number) if number.isdecimal() and len(number) < 7 else status
    # A legacy hub sends a name.
    name = ERROR_NAMES.get(code) or ERROR_NAMES.get(status) if service == "hub" else None
    if service == "hub" and method == "CONNECT":
        name = "connack"
    elif not status:
        name = "late-certificate"
    happened, check = advice.lookup(name, code) if name else advice.lookup(code)
    return {"happened": happened, "check": check}
