"""Shared access signatures (SAS) of Azure's service APIs: make one for the Authorization header.

Source: "Control access to Azure IoT Hub Device Provisioning Service" (Azure documentation).
"""

import base64
import hashlib
import hmac
import time
import urllib.parse

SCHEME = "SharedAccessSignature"


def signature(resource: str, expiry: str, key: str) -> str:
    """The HMAC-SHA256 over the resource and the expiry, in base64. key: in base64 as well.

    Raises ValueError if the key is not base64.
    """
    text = f"{urllib.parse.quote(resource, safe='')}\n{expiry}"
    digest = hmac.digest(base64.b64decode(key, validate=True), text.encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def token(resource: str, key_name: str, key: str, lifetime_s: int = 600) -> str:
    """The value of an Authorization header that is valid for lifetime_s seconds from now."""
    expiry = str(int(time.time()) + lifetime_s)
    fields = {"sr": resource, "sig": signature(resource, expiry, key), "se": expiry}
    return f"{SCHEME} {urllib.parse.urlencode(fields | {'skn': key_name})}"
