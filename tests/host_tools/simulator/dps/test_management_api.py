"""Azure's management API of the simulated DPS: the instance, its keys, all published versions."""

import uuid

import pytest
import requests

from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.simulator.dps.management_api import VERSIONS

GROUP = "subscriptions/sub-1/resourceGroups/group-1/providers/Microsoft.Devices"
DPS = f"{GROUP}/provisioningServices/my-dps"


@pytest.fixture
def arm(simulator):
    """Make a call → its answer."""

    def call(method, path, version="2021-10-15", body=None, key=None, **headers):
        return requests.request(
            method,
            f"https://{simulator.dps}/{path}",
            params={"api-version": version},
            json=body,
            headers={"Authorization": f"Bearer {key or simulator.service._key}", **headers},
            verify=str(simulator.root),
            timeout=20,
        )

    return call


@pytest.fixture
def pem():
    return encoding.pem(issue("uploaded", ca=True).cert).decode()


@pytest.mark.parametrize("version", VERSIONS)
def test_upload_in_the_form_of_each_version(arm, pem, version):
    """`az iot dps certificate create --verified true` of azure-cli up to 2.91 uses 2021-10-15."""
    path = f"{DPS}/certificates/ca-{uuid.uuid4()}"
    fields = {"certificate": pem, "isVerified": True}
    right, wrong = fields, {"properties": fields}
    if version >= "2022":
        right, wrong = wrong, right
    assert arm("PUT", path, version, wrong).status_code == 400
    answer = arm("PUT", path, version, right)
    assert answer.status_code == 200, answer.text
    assert answer.json()["properties"]["isVerified"] is True
    etag = answer.json()["etag"]
    assert arm("DELETE", path, version, **{"If-Match": etag}).status_code == 204


@pytest.mark.parametrize("verified", [None, False, True])
def test_verified_may_be_null(arm, pem, verified):
    path = f"{DPS}/certificates/ca-{uuid.uuid4()}"
    body = {"certificate": pem, "isVerified": verified}
    assert arm("PUT", path, body=body).json()["properties"]["isVerified"] is bool(verified)


def test_instance_is_found_by_its_name_and_in_lists(arm, simulator):
    one = arm("GET", DPS).json()
    assert one["name"] == "my-dps"
    assert one["id"] == f"/{DPS}"
    properties = one["properties"]
    assert properties["serviceOperationsHostName"] == simulator.dps
    assert properties["idScope"] == simulator.id_scope
    for path in (
        f"{GROUP}/provisioningServices",
        "subscriptions/sub-1/providers/Microsoft.Devices/provisioningServices",
    ):
        (listed,) = arm("GET", path).json()["value"]
        assert listed["properties"] == properties


def test_keys(arm, simulator):
    (key,) = arm("POST", f"{DPS}/listkeys").json()["value"]
    assert key["primaryKey"] == simulator.service._key
    assert arm("POST", f"{DPS}/keys/{key['keyName']}/listkeys").json() == key
    assert arm("POST", f"{DPS}/keys/other/listkeys").status_code == 404


def test_case_of_the_path_has_no_meaning(arm):
    assert arm("GET", DPS.lower()).status_code == 200
    assert arm("POST", f"{DPS.upper()}/ListKeys").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", DPS, 405),
        ("GET", f"{DPS}/listkeys", 405),
        ("GET", f"{DPS}/skus", 404),
        ("GET", "subscriptions", 404),
        ("GET", "subscriptions/s/resourceGroups/g", 404),
        ("GET", "subscriptions/s/providers/Microsoft.Devices/provisioningServices/my-dps", 404),
        ("GET", DPS.replace("Devices", "Compute"), 404),
    ],
)
def test_calls_that_are_not_simulated(arm, method, path, status):
    assert arm(method, path).status_code == status


def test_stranger_gets_no_key(arm):
    assert arm("POST", f"{DPS}/listkeys", key="c2VjcmV0").status_code == 401
    assert arm("POST", f"{DPS}/listkeys", "2019-01-01").status_code == 400
