"""Admin calls. Faults, cloud-to-device messages and disabled devices are tested elsewhere."""

import pytest
import requests

from helpers.by_hand import TIMEOUT_S


@pytest.mark.parametrize(
    ("method", "call", "body", "headers", "status"),
    [
        ("POST", "faults", b'{"fault": "hub:explode"}', {}, 400),
        ("POST", "faults", b'{"fault": 7}', {}, 400),
        ("POST", "faults", b"[]", {}, 400),
        ("POST", "faults", b"{", {}, 400),
        ("POST", "faults", b"[" * 100_000, {}, 400),
        ("POST", "faults", b"{" + b" " * 200_000 + b"}", {}, 413),
        ("POST", "faults", b"fault=hub:never", {"content-type": "text/plain"}, 415),
        ("POST", "faults", b'{"fault": "hub:never"}', {"host": "evil.example"}, 403),
        ("PUT", "faults", b"{}", {}, 405),
        ("GET", "nowhere", b"", {}, 404),
        ("POST", "devicebound", b'{"deviceId": "nobody", "body": "x"}', {}, 404),
        ("POST", "devicebound", b'{"body": "x"}', {}, 400),
        ("POST", "devices", b'{"deviceId": "nobody", "status": "disabled"}', {}, 404),
    ],
)
def test_bad_call_changes_nothing(simulator, method, call, body, headers, status):
    answer = requests.request(
        method,
        f"{simulator.page}admin/{call}",
        data=body,
        headers={"content-type": "application/json"} | headers,
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == status
    assert answer.json()["error"]
    assert simulator.admin("GET", "faults") == []
