"""Enrollment through the simulator's service API, as a user does it."""

import base64
import hashlib
import hmac
import re
import socket
import time
import urllib.parse

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
    assert f"DPS refused to enroll {name}: HTTP 401" in done.refusal
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
