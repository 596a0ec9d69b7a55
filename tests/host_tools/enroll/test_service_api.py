"""Enrollment through the simulator's service API, as a user does it."""

import base64
import hashlib
import hmac
import json
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid

import pytest
import requests
from azure.mgmt import iothubprovisioningservices
from cryptography.hazmat.primitives import hashes

from helpers import peers
from microdps_tools import CHECKOUT
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import make_self_signed
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key, load_certs
from microdps_tools.enroll import ca_certificates as authority
from microdps_tools.enroll import service_api as enroll
from microdps_tools.files import write_files


@pytest.fixture
def key_file(simulator):
    return simulator.state / "connection-string.key.txt"


@pytest.fixture
def cert(tmp_path, request):
    """File with a certificate, and the registration ID that is its common name."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name)[-60:] + "-0"
    return make_self_signed(name, tmp_path, "ec-p256", 30, False) / "cert.pem", name


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
    folder = make_self_signed(name, tmp_path, "ec-p256", 30, force=True)
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


def test_what_is_not_given_stays(with_key, cert, rest, tmp_path):
    file, name = cert
    next_one = make_self_signed(f"{name}-next", tmp_path, "ec-p256", 30, False) / "cert.pem"
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
    # Once the second has become the first, it is not held twice.
    assert with_key("individual", name, "--cert", next_one).out.startswith("changed: ")
    pair = rest("GET", f"enrollments/{name}").json()["attestation"]["x509"]["clientCertificates"]
    assert pair["primary"]["certificate"] == next_one.read_text()
    assert not pair.get("secondary")


def test_certificate_is_compared_however_the_service_has_it(cert):
    leaf = load_certs(cert[0])[0]
    wanted = enroll.record("enrollments", "device-01", cert=cert[0])
    der = base64.b64encode(encoding.der(leaf)).decode()
    told = {"sha256Thumbprint": leaf.fingerprint(hashes.SHA256()).hex()}
    for held, same in (
        ({"certificate": encoding.pem(leaf).decode()}, True),
        ({"certificate": base64.b64encode(encoding.pem(leaf)).decode()}, True),
        ({"certificate": der}, True),
        ({"certificate": None, "info": told}, True),
        ({"certificate": der, "info": {"sha256Thumbprint": "0" * 64}}, False),
        ({"certificate": "no certificate"}, False),
        ({}, False),
    ):
        x509 = {"clientCertificates": {"primary": held, "secondary": None}}
        kept = wanted | {"etag": "x", "attestation": {"type": "x509", "x509": x509}}
        after = enroll.merged(kept, wanted)
        assert (enroll.comparable(after) == enroll.comparable(kept)) is same, held


def test_group_goes_from_a_certificate_to_a_ca_name(cert):
    before = enroll.record("enrollmentGroups", "group-02", cert=cert[0])
    wanted = enroll.record("enrollmentGroups", "group-02", ca_name="my-ca")
    assert enroll.merged(before, wanted)["attestation"] == wanted["attestation"]


def test_change_by_somebody_else_at_the_same_time(cert, simulator, monkeypatch):
    """Both have read; the second to write is refused."""
    file, name = cert
    service = simulator.service
    wanted = enroll.record("enrollments", name, cert=file)
    enroll.ensure(service, "enrollments", wanted)
    read = service.get

    def late(path, name):
        before = read(path, name)
        simulator.service.put(path, name, {**wanted, "deviceId": "theirs"})
        return before

    monkeypatch.setattr(service, "get", late)
    with pytest.raises(enroll.ToolError, match="changed it meanwhile, so run this again"):
        enroll.ensure(service, "enrollments", {**wanted, "provisioningStatus": "disabled"})
    assert simulator.service.get("enrollments", name)["deviceId"] == "theirs"


@pytest.fixture
def peer(tmp_path, monkeypatch, command):
    """Run `microdps enroll` against a server that gives these answers, one a connection → Done,
    and what it was asked."""
    root = issue("peer root", ca=True)
    write_files(tmp_path, {"peer-root.pem": encoding.pem(root.cert)})

    def run(answers, *arguments):
        left = list(answers)
        asked = []

        def handle(connection):
            asked.append(bytes(peers.read_request(connection) or b""))
            head, body = left.pop(0)
            connection.sendall(b"HTTP/1.0 " + head + b"\r\n\r\n" + body)

        context = peers.server_context(tmp_path, root)
        with peers.listening(peers.tls(context, handle)) as port:
            key = f"HostName=localhost:{port};SharedAccessKeyName=owner;SharedAccessKey=AAAA"
            monkeypatch.setenv(enroll.ENVIRONMENT, key)
            done = command("enroll", *arguments, "--ca", tmp_path / "peer-root.pem")
        assert "AAAA" not in done.out + done.err
        return done, asked

    return run


def test_list_goes_through_all_pages(peer):
    def page(key, *names):
        records = [{key: name, "provisioningStatus": "enabled"} for name in names]
        return json.dumps(records).encode()

    answers = [
        (b"200 OK\r\nx-ms-continuation: next", page("registrationId", "a", "b")),
        (b"200 OK", page("registrationId", "c")),
        (b"200 OK", page("enrollmentGroupId", "g")),
    ]
    done, asked = peer(answers, "list")
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["individual", "a,"],
        ["individual", "b,"],
        ["individual", "c,"],
        ["group", "g,"],
    ]
    assert [b"x-ms-continuation: next" in request for request in asked] == [False, True, False]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (b"401 Unauthorized", "check the key"),
        (b"403 Forbidden", "permits"),
        (b"429 Too Many Requests", "wait a minute"),
        (b"500 Oh", "HTTP 500"),
    ],
)
def test_refusal_is_one_sentence_that_says_what_to_do(peer, status, advice):
    done, _ = peer([(status, b"<html>\n<p>no</p>\n" + b"x" * 10_000)], "list")
    assert advice in done.refusal
    assert len(done.refusal) < 500


def test_list_of_what_is_no_dps(peer):
    for body in (b"<html>", b"{}"):
        assert "is no DPS" in peer([(b"200 OK", body)], "list")[0].refusal


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
    options = ["--allocation-policy", "geoLatency", "--reprovision-policy", "migrate"]
    options += ["--iot-hub", "one", "--iot-hub", "two", "--disabled", "--secondary-cert", file]
    words = shlex.split(enrolling("group", "g", "--cert", file, *options, "--dry-run").out)
    told = dict(zip(words[5::2], words[6::2], strict=True))
    assert told["--allocation-policy"] == "geolatency"
    assert told["--reprovision-policy"] == "reprovisionandmigratedata"
    assert told["--iot-hubs"] == "one two"
    assert told["--provisioning-status"] == "disabled"
    assert told["--secondary-certificate-path"] == str(file)
    done = enrolling("ca", "my-ca", "--cert", file, "--prove", "--key", "k.pem", "--dry-run")
    assert [line.split()[4] for line in done.out.splitlines()] == [
        "create",
        "generate-verification-code",
        "verify",
    ]


@pytest.fixture
def ca(tmp_path):
    """Files of a CA, and a name for it in DPS."""
    pair = issue("enrolled CA", ca=True)
    write_files(tmp_path, encoding.pem_files("ca", pair))
    name = f"ca-{uuid.uuid4()}"
    key_option = ["--prove", "--key", tmp_path / "ca.key.pem"]
    return name, ["--cert", tmp_path / "ca.cert.pem"], key_option


def test_ca_is_uploaded_proved_referred_to_and_deleted(with_key, ca, rest):
    name, cert_option, key_option = ca
    assert with_key("ca", name, *cert_option).out == f"uploaded: CA {name}, not verified\n"
    assert with_key("ca", name, *cert_option).out == f"unchanged: CA {name}, not verified\n"
    assert f"{name}, enrolled CA, not verified" in with_key("ca", "--list").out
    done = with_key("ca", name, *cert_option, *key_option)
    assert done.out.splitlines()[1] == f"proved: CA {name}, verified"
    assert "unchanged" in with_key("ca", name, *cert_option, *key_option).out
    assert with_key("ca", name, *key_option).out == f"unchanged: CA {name}, verified\n"
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
    other = issue("other", ca=True)
    write_files(tmp_path, {"other.key.pem": encoding.key_pem(other.key)})
    key_option = ["--prove", "--key", tmp_path / "other.key.pem"]
    assert "is not the key of" in with_key("ca", name, *cert_option, *key_option).refusal
    assert "there is no CA" in with_key("ca", name, *key_option).refusal
    with_key("ca", name, *cert_option)
    assert "is not the key of" in with_key("ca", name, *key_option).refusal
    assert "--prove" in with_key("ca", name, *key_option[1:]).refusal
    assert "--key" in with_key("ca", name, "--prove").refusal
    assert with_key("ca", name, "--prove", "--delete", *key_option[1:]).code == 2


def test_ca_is_proved_by_a_key_with_a_passphrase(with_key, ca, tmp_path):
    name, cert_option, key_option = ca
    pair = load_cert_and_key(cert_option[1], key_option[2])
    key_option[2].write_bytes(encoding.key_pem(pair.key, b"1234"))
    assert "is encrypted" in with_key("ca", name, *cert_option, *key_option).refusal
    file = tmp_path / "passphrase.txt"
    file.write_text("1234")
    given = (*cert_option, *key_option, "--passphrase-file", file)
    assert "proved" in with_key("ca", name, *given).out


def test_azures_own_host_gets_no_key_as_a_token(enrolling, ca, key_file, simulator, tmp_path):
    azure = "my.azure-devices-provisioning.net"
    bad = changed(key_file, tmp_path, simulator.dps, azure)
    done = enrolling("ca", ca[0], *ca[1], "--connection-string-file", bad)
    assert "a connection string is for the simulator" in done.refusal


WHERE = ("--subscription", "s-1", "--resource-group", "g-1", "--dps", "d-1")


def test_ca_by_azures_sign_in(enrolling, ca, rest, simulator, monkeypatch):
    """The library's client and paths; the token and the host are the simulator's."""
    client = iothubprovisioningservices.IotDpsClient
    monkeypatch.setattr(
        iothubprovisioningservices,
        "IotDpsClient",
        lambda *given, **options: client(*given, base_url=f"https://{simulator.dps}", **options),
    )
    credential = authority.KeyCredential(rest.key)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: credential)
    assert enrolling("ca", ca[0], *ca[1], *WHERE).code == 0
    kept = requests.get(
        f"https://{simulator.dps}/subscriptions/s-1/resourceGroups/g-1/providers/Microsoft.Devices"
        f"/provisioningServices/d-1/certificates/{ca[0]}?api-version=2022-12-12",
        headers={"Authorization": f"Bearer {rest.key}"},
        verify=str(simulator.root),
        timeout=20,
    ).json()
    assert "/subscriptions/s-1/resourceGroups/g-1/" in kept["id"]
    assert "/provisioningServices/d-1/" in kept["id"]
    wrong = authority.KeyCredential("wrong")
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: wrong)
    assert "did not let you tell of" in enrolling("ca", ca[0], *ca[1], *WHERE).refusal
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(authority, "RETRIES", 0)
    monkeypatch.setattr(
        iothubprovisioningservices,
        "IotDpsClient",
        lambda *given, **options: client(*given, base_url=f"https://localhost:{port}", **options),
    )
    assert "cannot reach Azure" in enrolling("ca", "--list", *WHERE).refusal


def test_who_is_not_signed_in_is_told_in_one_sentence(enrolling, ca, monkeypatch, tmp_path):
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "MSI_ENDPOINT", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    refusal = enrolling("ca", ca[0], *ca[1], *WHERE).refusal
    assert "you are not signed in to Azure: run 'az login'" in refusal


def test_azures_libraries_are_loaded_by_no_other_verb():
    code = "import sys, microdps_tools.__main__; print([m for m in sys.modules if 'azure' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "[]\n", done.stderr


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
    assert "'device 1' is not a registration ID" in done.refusal


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_server_that_is_not_dps(enrolling, cert, tmp_path, monkeypatch, body):
    file, name = cert
    root = issue("peer root", ca=True)
    write_files(tmp_path, {"peer-root.pem": encoding.pem(root.cert)})

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
