"""Shared access signatures."""

import base64
import hashlib
import hmac
import time
import urllib.parse

import requests


def test_signature_of_the_documented_code_is_accepted(rest, simulator):
    """The code comes from "Control access to DPS"."""
    uri = simulator.dps
    ttl = time.time() + 3600
    sign_key = f"{urllib.parse.quote_plus(uri)}\n{int(ttl)}"
    signature = base64.b64encode(
        hmac.HMAC(base64.b64decode(rest.key), sign_key.encode("utf-8"), hashlib.sha256).digest()
    )
    rawtoken = {"sr": uri, "sig": signature, "se": str(int(ttl))}
    rawtoken["skn"] = "provisioningserviceowner"
    answer = requests.get(
        f"https://{uri}/enrollmentGroups/group-01?api-version=2021-10-01",
        headers={"Authorization": "SharedAccessSignature " + urllib.parse.urlencode(rawtoken)},
        verify=str(simulator.root),
        timeout=20,
    )
    assert answer.status_code == 200
