"""DPS's service API: registrations, queries in pages, bulk operations."""

import uuid

import pytest

from helpers.by_hand import Device, enrolled_device
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue


@pytest.fixture
def name():
    return f"enrolled-{uuid.uuid4()}"


@pytest.fixture
def device(simulator, name):
    return enrolled_device(simulator, name)


def record(name, **changes) -> dict:
    pem = encoding.pem(issue(name).cert).decode()
    x509 = {"clientCertificates": {"primary": {"certificate": pem}}}
    return {"registrationId": name, "attestation": {"type": "x509", "x509": x509}, **changes}


def error(answer) -> tuple[int, int]:
    return answer.status_code, answer.json()["errorCode"]


def test_attestation_mechanism(rest, name):
    given = record(name)
    rest("PUT", f"enrollments/{name}", given)
    answer = rest("POST", f"enrollments/{name}/attestationmechanism")
    assert answer.status_code == 200
    kept = answer.json()["x509"]["clientCertificates"]["primary"]
    assert (
        kept["certificate"]
        == given["attestation"]["x509"]["clientCertificates"]["primary"]["certificate"]
    )
    assert error(rest("POST", "enrollments/nobody-1/attestationmechanism")) == (404, 404201)
    assert rest("POST", "enrollmentGroups/group-01/attestationmechanism").status_code == 200


def test_enrollment_shows_its_registration(simulator, rest, name, tmp_path):
    pair = issue(name)
    simulator.write_identity(name, pair)
    pem = encoding.pem(pair.cert).decode()
    x509 = {"clientCertificates": {"primary": {"certificate": pem}}}
    given = record(name, attestation={"type": "x509", "x509": x509}, deviceId=f"own-{name}")
    assert rest("PUT", f"enrollments/{name}", given).status_code == 200
    assert "registrationState" not in rest("GET", f"enrollments/{name}").json()
    device = Device(simulator, name, simulator.folder / "devices" / name)
    state = device.provision()["registrationState"]
    assert state["deviceId"] == f"own-{name}"
    kept = rest("GET", f"enrollments/{name}").json()
    assert kept["registrationState"] == state
    # A record that was read can be written back. That does not write the registration's state.
    kept["provisioningStatus"] = "disabled"
    answer = rest("PUT", f"enrollments/{name}", kept, headers={"If-Match": kept["etag"]})
    assert answer.status_code == 200
    assert device.register().json()["status"] == "disabled"


def test_registration_is_read_looked_up_and_deleted(rest, device):
    assert error(rest("GET", f"registrations/{device.name}")) == (404, 404201)
    assert error(device.dps("POST", "")) == (404, 404201)
    state = device.provision()["registrationState"]
    assert rest("GET", f"registrations/{device.name.upper()}").json() == state
    looked_up = device.dps("POST", "")
    assert (looked_up.status_code, looked_up.json()) == (200, state)
    path = f"registrations/{device.name}"
    assert error(rest("DELETE", path, headers={"If-Match": "old"})) == (412, 412001)
    assert rest("DELETE", path, headers={"If-Match": state["etag"]}).status_code == 204
    assert error(rest("DELETE", path)) == (404, 404201)
    assert device.provision()["registrationState"]["substatus"] == "initialAssignment"


def test_registrations_of_a_group_in_pages(simulator, rest):
    names = {f"enrolled-{uuid.uuid4()}" for _ in range(5)}
    for name in names:
        enrolled_device(simulator, name).provision()
    found: list[str] = []
    token = ""
    while True:
        headers = {"x-ms-max-item-count": "2", "x-ms-continuation": token}
        answer = rest("POST", "registrations/group-01/query", headers=headers)
        assert answer.headers["x-ms-item-type"] == "deviceRegistration"
        page = answer.json()
        assert len(page) <= 2
        found += [one["registrationId"] for one in page]
        token = answer.headers.get("x-ms-continuation", "")
        if not token:
            break
    assert len(found) == len(set(found))
    assert names <= set(found)
    assert error(rest("POST", "registrations/nobody-1/query")) == (404, 404201)


def bulk(rest, mode, *records, path="enrollments"):
    return rest("POST", path, {"mode": mode, path: list(records)})


def test_bulk(rest, name):
    records = [record(f"{name}-{number}") for number in range(10)]
    assert bulk(rest, "create", *records).json() == {"isSuccessful": True, "errors": []}
    again = bulk(rest, "create", records[0], record(f"{name}-new")).json()
    assert not again["isSuccessful"]
    (failed,) = again["errors"]
    assert (failed["registrationId"], failed["errorCode"]) == (f"{name}-0", 409001)
    assert rest("GET", f"enrollments/{name}-new").status_code == 200
    kept = rest("GET", f"enrollments/{name}-0").json()
    stale = bulk(rest, "updateIfMatchETag", kept | {"etag": "old"}).json()
    assert stale["errors"][0]["errorCode"] == 412001
    changed = kept | {"provisioningStatus": "disabled"}
    assert bulk(rest, "updateIfMatchETag", changed).json()["isSuccessful"]
    assert rest("GET", f"enrollments/{name}-0").json()["provisioningStatus"] == "disabled"
    assert bulk(rest, "update", kept).json()["isSuccessful"]
    assert bulk(rest, "delete", *records).json()["isSuccessful"]
    assert error(rest("GET", f"enrollments/{name}-0")) == (404, 404201)
    assert bulk(rest, "delete", records[0]).json()["errors"][0]["errorCode"] == 404201


@pytest.mark.parametrize("mode", ["", None, "replace"])
def test_bulk_of_an_unknown_mode(rest, name, mode):
    assert error(bulk(rest, mode, record(name))) == (400, 400004)


def test_bulk_of_no_enrollment_and_of_too_many(rest, name):
    assert error(bulk(rest, "create")) == (400, 400004)
    assert error(bulk(rest, "create", *[record(name)] * 11)) == (400, 400004)
    assert error(rest("POST", "enrollments", {"mode": "create", "enrollments": [7]})) == (
        400,
        400004,
    )
    assert error(rest("GET", f"enrollments/{name}")) == (404, 404201)


@pytest.mark.parametrize("wrong", ["a b", "a/b", "ä", "a" * 129, "a."])
def test_id_with_a_forbidden_character(rest, device, wrong):
    from urllib.parse import quote

    path = f"enrollments/{quote(wrong, safe='')}"
    assert error(rest("PUT", path, record("x") | {"registrationId": wrong})) == (400, 400004)
    device.name = quote(wrong, safe="")
    assert error(device.register()) == (400, 400004)


# Queries.


def query(rest, text, kind="enrollments", **headers):
    return rest("POST", f"{kind}/query", {"query": text}, headers=headers)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("provisioningStatus = 'disabled'", {0}),
        ('provisioningStatus != "disabled"', {1, 2}),
        ("deviceId = 'd1' OR deviceId='d2'", {1, 2}),
        ("deviceId in ['d0', 'd2'] and not provisioningStatus = 'disabled'", {2}),
        ("(deviceId > 'd0') AND deviceId <= 'd2'", {1, 2}),
        ("attestation.type = 'x509' and capabilities.iotEdge = true", {2}),
        ("deviceId = null", set()),
        ("deviceId <> 7", {0, 1, 2}),
    ],
)
def test_query_with_a_condition(rest, name, where, found):
    for number in range(3):
        extra = {"capabilities": {"iotEdge": True}} if number == 2 else {}
        status = "disabled" if number == 0 else "enabled"
        given = record(f"{name}-{number}", deviceId=f"d{number}", provisioningStatus=status)
        assert rest("PUT", f"enrollments/{name}-{number}", given | extra).status_code == 200
    own = f"registrationId >= '{name}-0' AND registrationId <= '{name}-2'"
    text = f"SELECT * FROM enrollments WHERE {own} AND ({where})"  # noqa: S608
    answer = query(rest, text)
    assert answer.status_code == 200, answer.text
    assert {one["registrationId"] for one in answer.json()} == {f"{name}-{n}" for n in found}


@pytest.mark.parametrize(
    "text",
    ["SELECT *", "select * from Enrollments", "SELECT * FROM enrollmentGroups", "  SELECT  *\n"],
)
def test_query_for_everything(rest, text):
    assert query(rest, text, "enrollmentGroups").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "hello",
        "SELECT * FROM devices",
        "SELECT deviceId FROM enrollments",
        "SELECT * FROM enrollments WHERE",
        "SELECT * FROM enrollments WHERE a",
        "SELECT * FROM enrollments WHERE a = ",
        "SELECT * FROM enrollments WHERE a = b",
        "SELECT * FROM enrollments WHERE (a = 1",
        "SELECT * FROM enrollments WHERE a = 1 a = 2",
        "SELECT * FROM enrollments WHERE a = 'x",
        "SELECT * FROM enrollments; DROP TABLE enrollments",
        "SELECT * FROM enrollments WHERE " + "(" * 100 + "a = 1" + ")" * 100,
        "SELECT * FROM enrollments WHERE " + "not " * 2000 + "a = 1",
        7,
        None,
    ],
)
def test_query_that_cannot_be_parsed(rest, text):
    assert error(query(rest, text)) == (400, 400004)


def test_continuation_token_that_dps_did_not_make(rest, name):
    for number in range(2):
        assert rest("PUT", f"enrollments/{name}-{number}", record(f"{name}-{number}")).ok
    answer = query(rest, "SELECT *", **{"x-ms-max-item-count": "1"})
    token = answer.headers["x-ms-continuation"]
    assert query(rest, "SELECT *", **{"x-ms-continuation": token}).status_code == 200
    for text, wrong in (
        ("SELECT *", f"{name}-0"),
        ("SELECT *", "AAAA"),
        ("SELECT *", "\xff"),
        ("SELECT *", token[:-4]),
        ("SELECT *", ("B" if token[0] == "A" else "A") + token[1:]),
        ("SELECT * FROM enrollments", token),
    ):
        assert error(query(rest, text, **{"x-ms-continuation": wrong})) == (400, 400004)
