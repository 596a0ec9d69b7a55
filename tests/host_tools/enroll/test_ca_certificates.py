"""microdps enroll ca: through the simulator, and through Azure's library as it signs in."""

import socket
import subprocess
import sys
import uuid

import pytest
import requests
from azure.mgmt import iothubprovisioningservices

from microdps_tools import CHECKOUT
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key
from microdps_tools.enroll import ca_certificates
from microdps_tools.enroll.ca_certificates import KeyCredential
from microdps_tools.files import write_files


@pytest.fixture
def ca(tmp_path):
    """A CA: a name for it in DPS, and the options with its files."""
    pair = issue("enrolled CA", ca=True)
    write_files(tmp_path, encoding.pem_files("ca", pair))
    name = f"ca-{uuid.uuid4()}"
    key_option = ["--prove", "--key", tmp_path / "ca.key.pem"]
    return name, ["--cert", tmp_path / "ca.cert.pem"], key_option


def test_ca_is_uploaded_proved_used_by_a_group_and_deleted(with_key, ca, rest):
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


def test_ca_is_verified_without_a_proof(with_key, ca):
    name, cert_option, _ = ca
    done = with_key("ca", name, *cert_option, "--verified")
    assert done.out == f"uploaded: CA {name}, verified\n"


def test_wrong_usage(enrolling, with_key, ca, tmp_path, cert):
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


def test_azures_hosts_never_get_the_key_as_a_token(enrolling, ca, changed_key_file, simulator):
    azure = "my.azure-devices-provisioning.net"
    bad = changed_key_file(simulator.dps, azure)
    done = enrolling("ca", ca[0], *ca[1], "--connection-string-file", bad)
    assert "a connection string is for the simulator" in done.refusal


WHERE = ("--subscription", "s-1", "--resource-group", "g-1", "--dps", "d-1")


def test_ca_with_azures_login(enrolling, ca, rest, simulator, monkeypatch):
    """Azure's library makes the requests. The token and the host are the simulator's."""
    client = iothubprovisioningservices.IotDpsClient
    monkeypatch.setattr(
        iothubprovisioningservices,
        "IotDpsClient",
        lambda *given, **options: client(*given, base_url=f"https://{simulator.dps}", **options),
    )
    credential = KeyCredential(rest.key)
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
    wrong = KeyCredential("wrong")
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: wrong)
    assert "did not let you read" in enrolling("ca", ca[0], *ca[1], *WHERE).refusal
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(ca_certificates, "RETRIES", 0)
    monkeypatch.setattr(
        iothubprovisioningservices,
        "IotDpsClient",
        lambda *given, **options: client(*given, base_url=f"https://localhost:{port}", **options),
    )
    assert "cannot reach Azure" in enrolling("ca", "--list", *WHERE).refusal


def test_missing_login_is_reported_in_one_sentence(enrolling, ca, monkeypatch, tmp_path):
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "MSI_ENDPOINT", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    refusal = enrolling("ca", ca[0], *ca[1], *WHERE).refusal
    assert "you are not signed in to Azure: run 'az login'" in refusal


def test_no_other_verb_loads_azures_libraries():
    code = "import sys, microdps_tools.__main__\n"
    code += "print([m for m in sys.modules if m.startswith('azure')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "[]\n", done.stderr
