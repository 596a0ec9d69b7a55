"""The numbers of a body, and the explanations of errors."""

import json

import pytest

from microdps import advice
from microdps_tools.simulator.page.excerpt import EXCERPT
from microdps_tools.simulator.page.rows import NUMBER_LIMIT, explanation, numbers


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"temperature": 21.5, "on": true, "name": "x", "none": null}', {"temperature": 21.5}),
        (b'{"a": {"b": {"c": 1, "d": {"e": 2}}}, "n": -3}', {"a.b.c": 1, "n": -3}),
        (b"17", {"value": 17}),
        (b"[1, 2]", {}),
        (b'{"": 1}', {"value": 1}),
        (b'{"__proto__": 1}', {"__proto__": 1}),
        (b'{"a": 1' + b"0" * 400 + b"}", {}),
        (b'{"a": 1' + b"0" * 5000 + b"}", {}),
        (b'{"a": Infinity, "b": -Infinity, "c": NaN}', {}),
        (b'{"a": 1', {}),
        (b"\xff\xfe", {}),
        (b"", {}),
        (b'{"a":' * 100_000, {}),
        (json.dumps({f"n{i}": i for i in range(50)}), {f"n{i}": i for i in range(NUMBER_LIMIT)}),
        (json.dumps({"x" * 500: 1}), {"x" * EXCERPT + "…": 1}),
    ],
)
def test_numbers_of_a_body(body, expected):
    assert numbers(body if isinstance(body, bytes) else body.encode()) == expected


@pytest.mark.parametrize(
    ("service", "method", "status", "error", "key"),
    [
        ("dps", "PUT", 401, "401002 Unauthorized", 401002),
        ("hub", "POST", 401, "401002 Unauthorized", "IotHubUnauthorizedAccess"),
        ("hub", "POST", 401, "401003 Unauthorized", 401),
        ("hub", "POST", 403, "403012 The device is disabled", 403),
        ("hub", "POST", 429, "429001 Throttling: too many messages", 429),
        ("dps", "GET", 404, "404201 Operation not found.", 404201),
        ("dps", "PUT", 503, "503001 A fault on request.", 500),
        ("hub", "CONNECT", 401, "401002 Unauthorized", "connack"),
        ("hub", "", 0, "no certificate: closed", "late-certificate"),
        ("dps", "PUT", 400, "x", 400),
        ("dps", "PUT", 412, "412001 Precondition failed.", 412),
    ],
)
def test_error_is_explained_by_the_devices_own_table(service, method, status, error, key):
    happened, check = advice.lookup(key)
    found = explanation(service, method, status, error)
    assert found == {"happened": happened, "check": check}


@pytest.mark.parametrize(
    ("method", "status", "error"), [("PUT", 202, ""), ("CLOSE", 0, "no packet in time")]
)
def test_request_without_an_explanation(method, status, error):
    assert explanation("hub", method, status, error) is None
