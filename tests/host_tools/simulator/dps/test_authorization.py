"""DPS's service API accepts valid signatures only."""

import base64
import re
import time
import urllib.parse

import pytest

from helpers.dps_calls import (
    ANY,
    KINDS,
    put,
    record,
    refused,
)
from microdps_tools.enroll import sas


def without_expiry(rest) -> str:
    """A valid signature without an expiry."""
    fields = dict(urllib.parse.parse_qsl(rest.token().partition(" ")[2]))
    fields |= {"se": "", "sig": sas.signature(fields["sr"], "", rest.key)}
    return f"{sas.SCHEME} {urllib.parse.urlencode(fields)}"


BAD_SIGNATURES = {
    "wrong key": lambda rest: rest.token(key=base64.b64encode(b"w" * 32).decode()),
    "expired": lambda rest: rest.token(lifetime_s=-1),
    "extended": lambda rest: re.sub(
        r"se=\d+", f"se={int(time.time()) + 600}", rest.token(lifetime_s=-1)
    ),
    "of another policy": lambda rest: rest.token(key_name="registration"),
    "for another host": lambda rest: rest.token(host="localhost:1"),
    "of another scheme": lambda rest: rest.token().replace(sas.SCHEME, "Bearer"),
    "empty": lambda rest: "",
    "scheme alone": lambda rest: sas.SCHEME,
    "no signature": lambda rest: re.sub(r"sig=[^&]+", "", rest.token()),
    "signature that is no ASCII": lambda rest: re.sub(r"sig=[^&]+", "sig=%C3%A9", rest.token()),
    "no expiry": without_expiry,
}


@pytest.mark.parametrize("bad", BAD_SIGNATURES)
def test_bad_signature_changes_nothing(rest, kind, name, new_cert, bad):
    kept = put(rest, kind, name, new_cert)
    headers = {"Authorization": BAD_SIGNATURES[bad](rest)} | ANY
    changed = record(kind, name, new_cert, provisioningStatus="disabled")
    refused(rest("PUT", f"{kind}/{name}", changed, headers=headers), 401, 401002)
    refused(rest("GET", f"{kind}/{name}", headers=headers), 401, 401002)
    fresh = rest(
        "PUT", f"{kind}/{name}-new", record(kind, f"{name}-new", new_cert), headers=headers
    )
    refused(fresh, 401, 401002)
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert rest("GET", f"{kind}/{name}-new").status_code == 404


def test_no_signature_at_all(device, name):
    for kind in KINDS:
        refused(device("GET", f"{kind}/{name}", version="2021-10-01", cert=None), 401, 401002)
        refused(device("GET", f"{kind}/{name}", version="2021-10-01"), 401, 401002)


def test_host_that_the_client_names_is_not_the_services_own(rest, kind, name):
    """The signature is for the Host header, and that is not the service's name."""
    forged = {"Host": "elsewhere.example", "Authorization": rest.token(host="elsewhere.example")}
    refused(rest("GET", f"{kind}/{name}", headers=forged), 401, 401002)
    right = {"Host": "elsewhere.example"}
    refused(rest("GET", f"{kind}/{name}", headers=right), 404, 404201)


def test_name_without_its_port(rest, kind, name):
    right = {"Authorization": rest.token(host="localhost")}
    refused(rest("GET", f"{kind}/{name}", headers=right), 404, 404201)
