"""Authorization of DPS's service API: the shared access signature of a call.

Source: "Control access to DPS" (Azure documentation).
"""

import hmac
import urllib.parse

from ...enroll import sas
from ..call import ApiError, Call
from ..http_service import HttpService

KEY_NAME = "provisioningserviceowner"


def authorize(service: HttpService, call: Call) -> None:
    """Check the shared access signature of a call. Raises ApiError."""
    scheme, _, text = (call.header("authorization") or "").partition(" ")
    fields = dict(urllib.parse.parse_qsl(text))
    valid = scheme == sas.SCHEME and fields.get("skn") == KEY_NAME
    if valid:
        expiry = fields.get("se", "")
        signature = sas.signature(fields.get("sr", ""), expiry, service.store.service_key)
        valid = (
            hmac.compare_digest(signature.encode(), fields.get("sig", "").encode())
            and fields.get("sr", "").lower() in service.names
            and expiry.isdecimal()
            and int(expiry) > service.now()
        )
    if not valid:
        cause = (
            f"the signature must be of {KEY_NAME!r} for {service.host!r}, with the key of"
            f" connection-string.key.txt, and not expired; it is of {fields.get('skn')!r} for"
            f" {fields.get('sr')!r} until {fields.get('se')!r}"
        )
        raise ApiError(401, 401002, "Unauthorized", cause=cause)
