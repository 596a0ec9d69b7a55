"""Enrollment through the simulator's service API, as a user does it."""

import base64
import hashlib
import hmac
import re
import shlex
import socket
import time
import urllib.parse
import uuid

import pytest
import requests

import peers
from host_tools import certs, enroll


@pytest.fixture
def key_file(simulator):
    return simulator.state / "connection-string.key.txt"


@pytest.fixture
def cert(tmp_path, request):
    """File with a certificate, and the registration ID that is its common name."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name)[-60:] + "-0"
    return certs.self_signed(name, tmp_path, "ec-p256", 30, False) / "cert.pem", name


@pytest.fixture
def enrolling(command, simulator, rest, monkeypatch):
    """Run `microdps enroll` → Done. The key is in no output of it."""
    monkeypatch.delenv(enroll.ENVIRONMENT, raising=False)

    def run(*arguments, ca=simulator.root):
        done = command("enroll", *arguments, *(["--ca", ca] if ca else []))
        assert rest.key not in done.out + done.err
        return done

    return run


def changed(key_file, folder, old, new):
    """File with the simulator's connection string, a part of it replaced."""
    text = key_file.read_text()
    assert old in text
    file = folder / "changed.key.txt"
    file.write_text(text.replace(old, new))
    return file


def test_individual_by_a_file(enrolling, key_file, cert, rest):
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


def test_group_by_the_environment(enrolling, key_file, cert, rest, monkeypatch):
    file, name = cert
    monkeypatch.setenv(enroll.ENVIRONMENT, key_file.read_text())
    done = enrolling("group", name, "--cert", file)
    assert (done.code, done.out, done.err) == (0, f"enrolled: group {name}, enabled\n", "")
    record = rest("GET", f"enrollmentGroups/{name}").json()
    assert record["enrollmentGroupId"] == name
    primary = record["attestation"]["x509"]["signingCertificates"]["primary"]
    assert primary["certificate"] == file.read_text()


@pytest.mark.parametrize(
    ("kind", "path"), [("individual", "enrollments"), ("group", "enrollmentGroups")]
)
def test_second_time_replaces_the_first(enrolling, key_file, cert, rest, tmp_path, kind, path):
    file, name = cert
    assert enrolling(kind, name, "--cert", file, "--connection-string-file", key_file).code == 0
    first = rest("GET", f"{path}/{name}").json()
    folder = certs.self_signed(name, tmp_path, "ec-p256", 30, force=True)
    enrolling(kind, name, "--cert", folder / "cert.der", "--connection-string-file", key_file)
    second = rest("GET", f"{path}/{name}").json()
    assert second["createdDateTimeUtc"] == first["createdDateTimeUtc"]
    assert second["etag"] != first["etag"]
    assert (folder / "cert.pem").read_text() in str(second).replace("\\n", "\n")


@pytest.fixture
def with_key(enrolling, key_file):
    """Run `microdps enroll` with the connection string's file."""
    return lambda *arguments: enrolling(*arguments, "--connection-string-file", key_file)


@pytest.mark.parametrize(
    ("kind", "path"), [("individual", "enrollments"), ("group", "enrollmentGroups")]
)
def test_second_time_is_left_alone_and_a_change_is_made(with_key, cert, rest, kind, path):
    file, name = cert
    assert with_key(kind, name, "--cert", file).out == f"enrolled: {kind} {name}, enabled\n"
    first = rest("GET", f"{path}/{name}").json()
    assert with_key(kind, name, "--cert", file).out == f"unchanged: {kind} {name}, enabled\n"
    assert rest("GET", f"{path}/{name}").json() == first
    done = with_key(kind, name, "--cert", file, "--disabled")
    assert done.out == f"changed: {kind} {name}, disabled\n"
    assert rest("GET", f"{path}/{name}").json()["provisioningStatus"] == "disabled"
    assert "unchanged" in with_key(kind, name, "--cert", file, "--disabled").out


def test_options_become_the_enrollments(with_key, cert, rest, simulator):
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


def test_same_by_the_thumbprint_alone(cert):
    """The service need not tell the certificate itself."""
    wanted = enroll.record("enrollments", "device-01", cert=cert[0])
    leaf = certs.load_certs(cert[0])[0]
    told = {"sha256Thumbprint": leaf.fingerprint(certs.hashes.SHA256()).hex()}
    pair = {"primary": {"certificate": None, "info": told}, "secondary": None}
    kept = wanted | {"attestation": {"type": "x509", "x509": {"clientCertificates": pair}}}
    assert enroll.same(wanted, kept)
    told["sha256Thumbprint"] = "0" * 64
    assert not enroll.same(wanted, kept)


def test_list_and_delete(with_key, cert, rest):
    file, name = cert
    with_key("individual", name, "--cert", file)
    lines = with_key("list").out.splitlines()
    assert f"individual {name}, enabled" in lines
    assert "group      group-01, enabled" in lines
    assert with_key("delete", "individual", name).out == f"deleted: individual {name}\n"
    assert rest("GET", f"enrollments/{name}").status_code == 404
    assert "there is no individual" in with_key("delete", "individual", name).out


def test_dry_run_prints_the_azure_clis_command_and_needs_no_secret(enrolling, cert, rest):
    file, name = cert
    done = enrolling("individual", name, "--cert", file, "--device-id", "t 7", "--dry-run")
    words = shlex.split(done.out)
    assert words[:5] == ["az", "iot", "dps", "enrollment", "create"]
    assert words[words.index("--enrollment-id") + 1] == name
    assert words[words.index("--certificate-path") + 1] == str(file)
    assert words[words.index("--device-id") + 1] == "t 7"
    assert rest("GET", f"enrollments/{name}").status_code == 404
    done = enrolling("group", "g-1", "--ca-name", "my-ca", "--dry-run")
    assert "enrollment-group create" in done.out
    assert "--ca-name my-ca" in done.out
    assert "enrollment delete" in enrolling("delete", "individual", name, "--dry-run").out
    done = enrolling("ca", "my-ca", "--cert", file, "--key", "root.key.pem", "--dry-run")
    assert [line.split()[4] for line in done.out.splitlines()] == [
        "create",
        "generate-verification-code",
        "verify",
    ]


@pytest.fixture
def ca(tmp_path):
    """Files of a CA, and a name for it in DPS."""
    pair = certs.issue("enrolled CA", ca=True)
    files = {"ca.cert.pem": certs.pem(pair.cert), "ca.key.pem": certs.key_pem(pair)}
    certs.write_new(tmp_path, files)
    name = f"ca-{uuid.uuid4()}"
    return name, ["--cert", tmp_path / "ca.cert.pem"], ["--key", tmp_path / "ca.key.pem"]


def test_ca_is_uploaded_proved_referred_to_and_deleted(with_key, ca, rest):
    name, cert_option, key_option = ca
    assert with_key("ca", name, *cert_option).out == f"uploaded: CA {name}, not verified\n"
    assert with_key("ca", name, *cert_option).out == f"unchanged: CA {name}, not verified\n"
    assert f"{name}, enrolled CA, not verified" in with_key("ca", "--list").out
    done = with_key("ca", name, *cert_option, *key_option)
    assert done.out.splitlines()[1] == f"proved: CA {name}, verified"
    assert "unchanged" in with_key("ca", name, *cert_option, *key_option).out
    assert with_key("group", f"g-{name}", "--ca-name", name).code == 0
    assert "unchanged" in with_key("group", f"g-{name}", "--ca-name", name).out
    assert "refers to the certificate" in with_key("ca", name, "--delete").refusal
    with_key("delete", "group", f"g-{name}")
    assert with_key("ca", name, "--delete").out == f"deleted: CA {name}\n"
    assert "there is no CA" in with_key("ca", name, "--delete").out


def test_ca_on_ones_word(with_key, ca):
    name, cert_option, _ = ca
    done = with_key("ca", name, *cert_option, "--verified")
    assert done.out == f"uploaded: CA {name}, verified\n"


def test_ca_that_is_not_said_well(enrolling, with_key, ca, tmp_path, cert):
    name, cert_option, _ = ca
    assert "--list" in with_key("ca").refusal
    assert "--cert" in with_key("ca", name).refusal
    assert "--subscription" in enrolling("ca", name, *cert_option).refusal
    assert "is not a CA's" in with_key("ca", name, "--cert", cert[0]).refusal
    other = certs.issue("other", ca=True)
    certs.write_new(tmp_path, {"other.key.pem": certs.key_pem(other)})
    done = with_key("ca", name, *cert_option, "--key", tmp_path / "other.key.pem")
    assert "is not the key of" in done.err


def test_no_connection_string(enrolling, cert):
    file, name = cert
    refusal = enrolling("individual", name, "--cert", file).refusal
    assert "no DPS connection string" in refusal
    assert enroll.ENVIRONMENT in refusal


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_connection_string_file_that_holds_none(enrolling, cert, tmp_path, content):
    file, name = cert
    key_file = tmp_path / "key.txt"
    if content is not None:
        key_file.write_bytes(content)
    refusal = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file
    ).refusal
    assert "connection string" in refusal


@pytest.mark.parametrize("part", enroll.CONNECTION_KEYS)
def test_incomplete_connection_string(enrolling, cert, key_file, monkeypatch, part):
    file, name = cert
    parts = [p for p in key_file.read_text().split(";") if not p.startswith(f"{part}=")]
    assert len(parts) == 2
    monkeypatch.setenv(enroll.ENVIRONMENT, ";".join(parts))
    assert f"has no {part}:" in enrolling("individual", name, "--cert", file).refusal


@pytest.mark.parametrize("key", ["abc", "!!!!", "ä" * 4])
def test_key_that_is_not_base64(enrolling, cert, key_file, rest, tmp_path, key):
    file, name = cert
    bad = changed(key_file, tmp_path, rest.key, key)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert "SharedAccessKey of the DPS connection string is not base64" in done.refusal
    assert key not in done.refusal


def test_wrong_key_is_refused_and_nothing_changes(enrolling, cert, key_file, rest, tmp_path):
    file, name = cert
    wrong = base64.b64encode(b"w" * 32).decode()
    bad = changed(key_file, tmp_path, rest.key, wrong)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert f"DPS refused to tell of {name}: HTTP 401" in done.refusal
    assert wrong not in done.refusal
    assert rest("GET", f"enrollments/{name}").status_code == 404


def test_host_that_does_not_answer(enrolling, cert, key_file, simulator, tmp_path):
    file, name = cert
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"localhost:{closed.getsockname()[1]}"
    bad = changed(key_file, tmp_path, simulator.dps, host)
    done = enrolling("individual", name, "--cert", file, "--connection-string-file", bad)
    assert f"cannot reach DPS at {host}" in done.refusal
    assert "refused" in done.refusal


def test_root_that_is_not_trusted(enrolling, cert, key_file, rest):
    file, name = cert
    done = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file, ca=None
    )
    assert "certificate verify failed" in done.refusal
    assert "--ca" in done.refusal
    assert rest("GET", f"enrollments/{name}").status_code == 404


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_root_that_is_none(enrolling, cert, key_file, tmp_path, content):
    file, name = cert
    ca = tmp_path / "ca.pem"
    if content:
        ca.write_text(content)
    done = enrolling(
        "individual", name, "--cert", file, "--connection-string-file", key_file, ca=ca
    )
    assert "--ca" in done.refusal


@pytest.mark.parametrize("kind", ["individual", "group"])
@pytest.mark.parametrize("file", ["key.pem", "key.der", "text", "missing"])
def test_file_that_is_no_certificate(enrolling, cert, key_file, kind, file):
    folder = cert[0].parent
    (folder / "text").write_text("hello")
    done = enrolling(kind, cert[1], "--cert", folder / file, "--connection-string-file", key_file)
    assert f"cannot read a certificate from {folder / file}" in done.refusal


@pytest.mark.parametrize("kind", ["individual", "group"])
def test_id_that_dps_forbids(enrolling, cert, key_file, kind):
    done = enrolling(kind, "device 1", "--cert", cert[0], "--connection-string-file", key_file)
    assert "'device 1' is no registration ID" in done.refusal


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_server_that_is_not_dps(enrolling, cert, tmp_path, monkeypatch, body):
    file, name = cert
    root = certs.issue("peer root", ca=True)
    certs.write_new(tmp_path, {"peer-root.pem": certs.pem(root.cert)})

    def handle(connection):
        peers.read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    context = peers.server_context(tmp_path, root)
    with peers.listening(peers.tls(context, handle)) as port:
        host = f"localhost:{port}"
        key = f"HostName={host};SharedAccessKeyName=owner;SharedAccessKey=AAAA"
        monkeypatch.setenv(enroll.ENVIRONMENT, key)
        done = enrolling("individual", name, "--cert", file, ca=tmp_path / "peer-root.pem")
    assert f"{host} answered" in done.refusal


def test_signature_is_one_that_the_documented_way_makes(rest, simulator):
    """By the how-to's own lines, from "Control access to DPS"."""
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
