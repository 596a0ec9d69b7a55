"""microdps enroll individual and group, through the simulator's service API."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes

from microdps_tools import ToolError
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files, make_self_signed
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_certs
from microdps_tools.enroll import connection_string
from microdps_tools.enroll.enrollment import comparable, enrollment_record, ensure, merged
from microdps_tools.files import write_files


def test_individual_with_the_connection_string_in_a_file(enrolling, key_file, cert, rest):
    file, name = cert
    done = enrolling(
        *("individual", name, "--cert", file, "--device-id", "thermometer-7"),
        *("--connection-string-file", key_file),
    )
    assert (done.code, done.out, done.err) == (0, f"enrolled: individual {name}, enabled\n", "")
    record = rest("GET", f"enrollments/{name}").json()
    assert record["registrationId"] == name
    assert record["deviceId"] == "thermometer-7"
    assert record["provisioningStatus"] == "enabled"
    primary = record["attestation"]["x509"]["clientCertificates"]["primary"]
    assert primary["certificate"] == file.read_text()


def test_group_with_the_connection_string_in_the_environment(
    enrolling, key_file, ca_cert, rest, monkeypatch
):
    file, name = ca_cert
    monkeypatch.setenv(connection_string.VARIABLE, key_file.read_text())
    done = enrolling("group", name, "--cert", file)
    assert (done.code, done.out, done.err) == (0, f"enrolled: group {name}, enabled\n", "")
    record = rest("GET", f"enrollmentGroups/{name}").json()
    assert record["enrollmentGroupId"] == name
    primary = record["attestation"]["x509"]["signingCertificates"]["primary"]
    assert primary["certificate"] == file.read_text()


@pytest.mark.parametrize(
    ("kind", "path"), [("individual", "enrollments"), ("group", "enrollmentGroups")]
)
def test_second_certificate_replaces_the_first(enrolling, key_file, request, rest, kind, path):
    file, name = request.getfixturevalue("ca_cert" if kind == "group" else "cert")
    assert enrolling(kind, name, "--cert", file, "--connection-string-file", key_file).code == 0
    first = rest("GET", f"{path}/{name}").json()
    folder = file.parent
    second = device_files(issue(name, ca=kind == "group"), [])
    write_files(folder, second, force=True)
    enrolling(kind, name, "--cert", folder / "cert.der", "--connection-string-file", key_file)
    second = rest("GET", f"{path}/{name}").json()
    assert second["createdDateTimeUtc"] == first["createdDateTimeUtc"]
    assert second["etag"] != first["etag"]
    assert (folder / "cert.pem").read_text() in str(second).replace("\\n", "\n")


@pytest.mark.parametrize(
    ("kind", "path"), [("individual", "enrollments"), ("group", "enrollmentGroups")]
)
def test_same_enrollment_is_left_alone_and_a_change_is_made(with_key, request, rest, kind, path):
    file, name = request.getfixturevalue("ca_cert" if kind == "group" else "cert")
    assert with_key(kind, name, "--cert", file).out == f"enrolled: {kind} {name}, enabled\n"
    first = rest("GET", f"{path}/{name}").json()
    assert with_key(kind, name, "--cert", file).out == f"unchanged: {kind} {name}, enabled\n"
    assert rest("GET", f"{path}/{name}").json() == first
    done = with_key(kind, name, "--cert", file, "--disabled")
    assert done.out == f"changed: {kind} {name}, disabled\n"
    assert rest("GET", f"{path}/{name}").json()["provisioningStatus"] == "disabled"
    assert "unchanged" in with_key(kind, name, "--cert", file, "--disabled").out


def test_options_are_written_into_the_enrollment(with_key, cert, rest, simulator):
    file, name = cert
    options = ["--device-id", "thermometer-9", "--allocation-policy", "static"]
    options += ["--iot-hub", simulator.hub, "--reprovision-policy", "reset"]
    assert with_key("individual", name, "--cert", file, *options).code == 0
    kept = rest("GET", f"enrollments/{name}").json()
    assert kept["deviceId"] == "thermometer-9"
    assert (kept["allocationPolicy"], kept["iotHubs"]) == ("static", [simulator.hub])
    assert kept["reprovisionPolicy"] == {"updateHubAssignment": True, "migrateDeviceData": False}
    assert "unchanged" in with_key("individual", name, "--cert", file, *options).out
    refusal = with_key("individual", name, "--cert", file, "--iot-hub", "nowhere").refusal
    assert "nowhere is no linked hub" in refusal


def test_options_that_are_left_out_keep_their_values(with_key, cert, rest, tmp_path):
    file, name = cert
    next_one = make_self_signed(name, tmp_path / "next", "ec-p256", 30, False) / "cert.pem"
    options = ["--device-id", "thermometer-11", "--secondary-cert", next_one]
    with_key("individual", name, "--cert", file, *options, "--reprovision-policy", "never")
    before = rest("GET", f"enrollments/{name}").json()
    assert with_key("individual", name, "--cert", file).out.startswith("unchanged: ")
    assert rest("GET", f"enrollments/{name}").json() == before
    assert with_key("individual", name, "--cert", file, "--disabled").out.startswith("changed: ")
    after = rest("GET", f"enrollments/{name}").json()
    assert {key for key in after if after[key] != before.get(key)} == {
        "provisioningStatus",
        "etag",
        "lastUpdatedDateTimeUtc",
    }
    # When the secondary certificate becomes the primary one, it is kept once.
    assert with_key("individual", name, "--cert", next_one).out.startswith("changed: ")
    pair = rest("GET", f"enrollments/{name}").json()["attestation"]["x509"]["clientCertificates"]
    assert pair["primary"]["certificate"] == next_one.read_text()
    assert not pair.get("secondary")


def test_certificates_are_compared_in_every_form(cert):
    leaf = load_certs(cert[0])[0]
    wanted = enrollment_record("enrollments", cert[1], cert=cert[0])
    der = base64.b64encode(encoding.der(leaf)).decode()
    info = {"sha256Thumbprint": leaf.fingerprint(hashes.SHA256()).hex()}
    for held, same in (
        ({"certificate": encoding.pem(leaf).decode()}, True),
        ({"certificate": base64.b64encode(encoding.pem(leaf)).decode()}, True),
        ({"certificate": der}, True),
        ({"certificate": None, "info": info}, True),
        ({"certificate": der, "info": {"sha256Thumbprint": "0" * 64}}, False),
        ({"certificate": "no certificate"}, False),
        ({}, False),
    ):
        x509 = {"clientCertificates": {"primary": held, "secondary": None}}
        kept = wanted | {"etag": "x", "attestation": {"type": "x509", "x509": x509}}
        after = merged(kept, wanted)
        assert (comparable(after) == comparable(kept)) is same, held


def test_group_changes_from_a_certificate_to_a_ca_name(ca_cert):
    before = enrollment_record("enrollmentGroups", "group-02", cert=ca_cert[0])
    wanted = enrollment_record("enrollmentGroups", "group-02", ca_name="my-ca")
    assert merged(before, wanted)["attestation"] == wanted["attestation"]


def test_change_by_somebody_else_at_the_same_time(cert, simulator, monkeypatch):
    """Both read the enrollment; then the second write is refused."""
    file, name = cert
    service = simulator.service
    wanted = enrollment_record("enrollments", name, cert=file)
    ensure(service, "enrollments", wanted)
    read = service.get

    def late(path, name):
        before = read(path, name)
        simulator.service.put(path, name, {**wanted, "deviceId": "theirs"})
        return before

    monkeypatch.setattr(service, "get", late)
    with pytest.raises(ToolError, match="changed it at the same time, so run this again"):
        ensure(service, "enrollments", {**wanted, "provisioningStatus": "disabled"})
    assert simulator.service.get("enrollments", name)["deviceId"] == "theirs"


@pytest.mark.parametrize("kind", ["individual", "group"])
@pytest.mark.parametrize("file", ["key.pem", "key.der", "text", "missing"])
def test_file_that_is_not_a_certificate(enrolling, cert, key_file, kind, file):
    folder = cert[0].parent
    (folder / "text").write_text("hello")
    done = enrolling(kind, cert[1], "--cert", folder / file, "--connection-string-file", key_file)
    assert f"cannot read a certificate from {folder / file}" in done.refusal


@pytest.mark.parametrize("kind", ["individual", "group"])
def test_id_that_dps_forbids(enrolling, cert, key_file, kind):
    done = enrolling(kind, "device 1", "--cert", cert[0], "--connection-string-file", key_file)
    assert "'device 1' is not a registration ID" in done.refusal


def test_certificate_that_dps_would_refuse(with_key, cert, ca_cert):
    file, name = cert
    refusal = with_key("individual", "another", "--cert", file).refusal
    assert f"common name is {name!r}, and the registration ID is 'another'" in refusal
    refusal = with_key("individual", ca_cert[1], "--cert", ca_cert[0]).refusal
    assert "is a CA's" in refusal and "microdps enroll group" in refusal
    assert "is not a CA's" in with_key("group", "g-1", "--cert", file).refusal
    assert with_key("individual", name.upper(), "--cert", file).code == 0


@pytest.mark.parametrize("device_id", ["with blank", "a/b", "\u00e9", "x" * 129, "a\n"])
def test_device_id_that_no_hub_takes(with_key, cert, device_id):
    refusal = with_key("individual", cert[1], "--cert", cert[0], "--device-id", device_id).refusal
    assert "is not a device ID" in refusal


def test_device_id_with_every_character_of_the_documentation(with_key, cert):
    given = ("--device-id", "aZ09-.%_*?!(),:=@$'")
    assert with_key("individual", cert[1], "--cert", cert[0], *given).code == 0


def test_leaf_of_a_chain_in_any_order_is_enrolled(with_key, cert, rest, tmp_path):
    ca = issue("ca", ca=True)
    leaf = issue(cert[1], ca)
    (tmp_path / "chain.pem").write_bytes(encoding.pem(ca.cert, leaf.cert))
    assert with_key("individual", cert[1], "--cert", tmp_path / "chain.pem").code == 0
    record = rest("GET", f"enrollments/{cert[1]}").json()["attestation"]["x509"]
    kept = record["clientCertificates"]["primary"]["certificate"]
    assert kept == encoding.pem(leaf.cert).decode()
