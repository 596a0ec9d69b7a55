"""Shared access signatures of Azure's service APIs.

Source: Azure documentation, "Control access to Azure IoT Hub Device Provisioning Service".
"""

import base64
import hashlib
import hmac
import time
import urllib.parse

SCHEME = "SharedAccessSignature"


def signature(resource: str, expiry: str, key: str) -> str:
    """Base64 of the HMAC-SHA256 over the resource and the expiry; the key is base64 as well.

    Raises ValueError if it is not.
    """
    text = f"{urllib.parse.quote(resource, safe='')}\n{expiry}"
    digest = hmac.digest(base64.b64decode(key, validate=True), text.encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def token(resource: str, key_name: str, key: str, lifetime_s: int = 600) -> str:
    """Value of an Authorization header that is valid for lifetime_s from now on."""
    expiry = str(int(time.time()) + lifetime_s)
    fields = {"sr": resource, "sig": signature(resource, expiry, key), "se": expiry}
    return f"{SCHEME} {urllib.parse.urlencode(fields | {'skn': key_name})}"
