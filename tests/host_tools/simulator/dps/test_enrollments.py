"""DPS's service API: create, read, replace and delete an enrollment."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from helpers.dps_calls import KINDS, Caller, put, record, refused
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll.enrollment import enroll_group
from microdps_tools.files import write_files


def test_enrollment_is_kept_as_it_was_sent(rest, kind, name, new_cert):
    given = record(kind, name, new_cert, capabilities={"iotEdge": False})
    answer = rest("PUT", f"{kind}/{name}", given)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    kept = answer.json()
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert kept["createdDateTimeUtc"] == kept["lastUpdatedDateTimeUtc"]
    added = {"provisioningStatus", "etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"}
    added |= {"allocationPolicy", "reprovisionPolicy"}
    assert {key: kept[key] for key in kept.keys() - added - {"attestation"}} == {
        key: given[key] for key in given.keys() - {"attestation"}
    }
    ((key, pair),) = kept["attestation"]["x509"].items()
    info = pair["primary"].pop("info")
    assert kept["attestation"] == given["attestation"]
    cert = x509.load_pem_x509_certificate(pair["primary"]["certificate"].encode())
    assert info["sha1Thumbprint"] == cert.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303
    assert info["notAfterUtc"] == cert.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert kept["provisioningStatus"] == "enabled"


def test_enrollment_in_another_case_is_the_same(rest, kind, name, new_cert):
    kept = put(rest, kind, name, new_cert)
    assert rest("GET", f"{kind}/{name.upper()}").json() == kept
    again = put(rest, kind, name.upper(), new_cert)
    assert again["createdDateTimeUtc"] == kept["createdDateTimeUtc"]
    assert rest("GET", f"{kind}/{name}").json() == again


def test_unknown_enrollment(rest, kind, name):
    refused(rest("GET", f"{kind}/{name}"), 404, 404201)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_unsupported_method(rest, kind, name, new_cert, method):
    kept = put(rest, kind, name, new_cert)
    refused(rest(method, f"{kind}/{name}", {}), 405, 405000)
    assert rest("GET", f"{kind}/{name}").json() == kept


def test_deleted_enrollment_is_gone_and_its_certificate_is_free(rest, kind, name, new_cert):
    kept = put(rest, kind, name, new_cert)
    refused(rest("DELETE", f"{kind}/{name}", headers={"If-Match": '"stale"'}), 412, 412001)
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert rest("DELETE", f"{kind}/{name}", headers={"If-Match": kept["etag"]}).status_code == 204
    refused(rest("GET", f"{kind}/{name}"), 404, 404201)
    refused(rest("DELETE", f"{kind}/{name}"), 404, 404201)
    put(rest, kind, name, new_cert)


@pytest.mark.parametrize("version", ["", "2017-11-15", "2022-12-12"])
def test_unsupported_version(rest, kind, name, version):
    refused(rest("GET", f"{kind}/{name}", version=version), 400, 400004)


@pytest.mark.parametrize(
    ("if_match", "status"),
    [(None, 409), ('"old"', 412), ("old", 412), ("*", 200), ("{etag}", 200), ('"{etag}"', 200)],
)
def test_if_match_of_an_existing_enrollment(rest, kind, name, new_cert, if_match, status):
    kept = put(rest, kind, name, new_cert)
    headers = {"If-Match": if_match.format(etag=kept["etag"])} if if_match else {}
    changed = record(kind, name, new_cert, provisioningStatus="disabled")
    answer = rest("PUT", f"{kind}/{name}", changed, headers=headers)
    if status == 200:
        assert answer.status_code == 200
        assert answer.json()["etag"] != kept["etag"]
        assert answer.json()["createdDateTimeUtc"] == kept["createdDateTimeUtc"]
        assert rest("GET", f"{kind}/{name}").json() == answer.json()
    else:
        refused(answer, status, status * 1000 + 1)
        assert rest("GET", f"{kind}/{name}").json() == kept


def test_id_that_differs_from_the_path(rest, kind, name, new_cert):
    refused(rest("PUT", f"{kind}/{name}", record(kind, f"{name}-2", new_cert)), 400, 400004)
    without = record(kind, name, new_cert)
    del without[KINDS[kind]]
    refused(rest("PUT", f"{kind}/{name}", without), 400, 400004)
    assert rest("GET", f"{kind}/{name}").status_code == 404


@pytest.mark.parametrize("status", ["", "Enabled", None, [], 1])
def test_bad_provisioning_status(rest, kind, name, new_cert, status):
    given = record(kind, name, new_cert, provisioningStatus=status)
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)


@pytest.mark.parametrize("device_id", [7, [], {}, True, "a b/ä c", "x" * 129, "x" * 200])
def test_device_id_that_a_hub_does_not_take(rest, name, new_cert, device_id):
    given = record("enrollments", name, new_cert, deviceId=device_id)
    refused(rest("PUT", f"enrollments/{name}", given), 400, 400004)
    assert rest("GET", f"enrollments/{name}").status_code == 404


def test_enrollment_over_256_kb(rest, kind, name, new_cert):
    given = record(kind, name, new_cert, initialTwin={"tags": {"x": "x" * 256 * 1024}})
    refused(rest("PUT", f"{kind}/{name}", given), 413, 413001)


def test_disabled_group_refuses_its_devices(simulator, rest, name, tmp_path):
    pair = issue("another intermediate", ca=True)
    write_files(tmp_path, {"issuer.pem": encoding.pem(pair.cert)})
    simulator.verify_ca(name, tmp_path / "issuer.pem")
    enroll_group(simulator.service, name, tmp_path / "issuer.pem")
    device = Caller(simulator, name)
    simulator.write_identity(name, issue(name, pair), [pair.cert])
    assert device.register().status_code == 202
    put(
        rest,
        "enrollmentGroups",
        name,
        encoding.pem(pair.cert).decode(),
        provisioningStatus="disabled",
    )
    answer = device.register()
    assert (answer.status_code, answer.json()["status"]) == (200, "disabled")


def test_unknown_fields_are_not_kept(rest, kind, name, new_cert):
    given = record(kind, name, new_cert, hobby="chess", etag="mine")
    given["attestation"]["x509"]["hobby"] = {"primary": 1}
    given["attestation"]["hobby"] = 1
    kept = rest("PUT", f"{kind}/{name}", given).json()
    assert "hobby" not in str(kept)
    assert kept["etag"] != "mine"
    assert "hobby" not in rest("GET", f"{kind}/{name}").text


@pytest.mark.parametrize(
    "changes",
    [
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "AAAA"}}},
        {"attestation": {"type": "tpm", "tpm": {"endorsementKey": "AAAA"}}},
        {"allocationPolicy": "custom"},
        {"customAllocationDefinition": {"webhookUrl": "https://x", "apiVersion": "1"}},
    ],
)
def test_things_that_are_not_simulated_say_so(rest, kind, name, new_cert, changes):
    answer = rest("PUT", f"{kind}/{name}", record(kind, name, new_cert, **changes))
    refused(answer, 400, 400004)
    assert "not simulated" in answer.json()["message"]


@pytest.mark.parametrize(
    "field", ["attestation", "capabilities", "initialTwin", "reprovisionPolicy", "iotHubs"]
)
@pytest.mark.parametrize("value", [7, "x", [7], True])
def test_field_of_another_type(rest, kind, name, new_cert, field, value):
    given = record(kind, name, new_cert) | {field: value}
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)


@pytest.mark.parametrize("version", ["2018-04-01", "2021-06-01", "2021-10-01", "2026-04-01"])
def test_versions_of_published_clients(rest, kind, name, new_cert, version):
    answer = rest("PUT", f"{kind}/{name}", record(kind, name, new_cert), version=version)
    assert answer.status_code == 200


def test_slash_before_the_query(rest, kind, name, new_cert):
    body = {"mode": "create", kind: [record(kind, name, new_cert)]}
    assert rest("POST", f"{kind}/", body).json()["isSuccessful"]
    assert rest("GET", f"{kind.upper()}/{name}").status_code == 200
