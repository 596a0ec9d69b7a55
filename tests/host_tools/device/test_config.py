"""microdps config: config.json, the identity and the Wi-Fi password."""

import json
import os
import pty
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from microdps.identity import Identity
from microdps.program import config as device_config
from microdps_tools import CHECKOUT
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import make_chain
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_certs
from microdps_tools.device.config import WIFI_PASSWORD_VARIABLE

# Azure documentation, "TLS support in DPS": DigiCert Global Root G2, and Microsoft RSA Root
# Certificate Authority 2017 by SHA-1; their SHA-256 as crt.sh shows it.
AZURE = [
    "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
]
PASSWORD = "correct horse"
REQUIRED = ("--id-scope", "0ne00111111", "--registration-id", "device-01")


def written(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def test_written_and_checked(configuring, made, tmp_path):
    done = configuring(
        *REQUIRED,
        *("--host", "dps.example:8443", "--interval-s", "2.5", "--messages", "7"),
        *("--log", "error", "--identity", made, "--roots", "azure"),
    )
    folder = tmp_path / "device"
    until = load_certs(made / "cert.pem")[0].not_valid_after_utc
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{folder}: ready, CN=device-01 until {until:%Y-%m-%d}\n"
    assert written(folder) == {
        "id_scope": "0ne00111111",
        "registration_id": "device-01",
        "host": "dps.example:8443",
        "interval_s": 2.5,
        "messages": 7,
        "log": "error",
    }
    assert device_config.load(str(folder / "config.json"))["wifi"] == {}
    assert (folder / "config.json").stat().st_mode & 0o777 == 0o600
    assert (folder / "identity" / "a" / "key.der").stat().st_mode & 0o777 == 0o600
    for name in ("key.der", "cert.der"):
        assert (folder / "identity" / "a" / name).read_bytes() == (made / name).read_bytes()


def test_options_that_are_left_out_keep_their_values(configuring, whole):
    before = {
        path: path.read_bytes() for path in (whole / "identity").rglob("*") if path.is_file()
    }
    assert configuring("--messages", "3").code == 0
    assert written(whole) == {
        "id_scope": "0ne00111111",
        "registration_id": "device-01",
        "messages": 3,
    }
    assert (whole / "config.json").stat().st_mode & 0o777 == 0o600
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("option", "value", "key"),
    [
        ("--id-scope", "0ne 1", "id_scope"),
        ("--registration-id", "device.", "registration_id"),
        ("--host", "https://dps", "host"),
        ("--interval-s", "-1", "interval_s"),
        ("--interval-s", "nan", "interval_s"),
        ("--messages", "-1", "messages"),
    ],
)
def test_bad_value_is_named_and_the_old_file_stays(configuring, whole, option, value, key):
    before = (whole / "config.json").read_bytes()
    refusal = configuring(f"{option}={value}").refusal
    assert f"config.json: {key}:" in refusal
    assert (whole / "config.json").read_bytes() == before
    assert list(whole.glob(".*")) == []


def test_missing_key_is_named(configuring, made, tmp_path):
    done = configuring("--id-scope", "0ne00111111", "--identity", made, "--roots", "azure")
    assert "config.json: registration_id:" in done.refusal
    assert not (tmp_path / "device").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b"null", b"\xff"])
def test_config_that_is_not_a_json_object_is_left_alone(configuring, whole, content):
    (whole / "config.json").write_bytes(content)
    refusal = configuring("--messages", "3").refusal
    assert f"{whole / 'config.json'}" in refusal
    assert (whole / "config.json").read_bytes() == content


def test_config_with_an_unknown_key_is_left_alone(configuring, whole):
    content = json.dumps(written(whole) | {"colour": "red"})
    (whole / "config.json").write_text(content)
    assert "config.json: colour:" in configuring("--messages", "3").refusal
    assert (whole / "config.json").read_text() == content


def test_config_that_is_a_folder(configuring, tmp_path):
    (tmp_path / "device" / "config.json").mkdir(parents=True)
    assert "config.json" in configuring(*REQUIRED).refusal


def test_folder_whose_name_is_a_file(configuring, made, tmp_path):
    (tmp_path / "device").write_text("mine")
    refusal = configuring(*REQUIRED, "--identity", made, "--roots", "azure").refusal
    assert f"cannot write to {tmp_path / 'device'}" in refusal
    assert (tmp_path / "device").read_text() == "mine"


def test_azures_roots(whole):
    roots = Identity.from_files(str(whole / "identity" / "a")).certs("roots")
    found = [x509.load_der_x509_certificate(bytes(root)) for root in roots]
    assert [root.fingerprint(hashes.SHA256()).hex() for root in found] == AZURE
    # The documentation gives this thumbprint of the second root.
    sha1 = found[1].fingerprint(hashes.SHA1())  # noqa: S303
    assert sha1.hex() == "73a5e64a3bff8316ff0edccc618a906e4eae4d74"


@pytest.mark.parametrize("encode", [encoding.pem, encoding.der])
def test_roots_from_a_file(configuring, made, tmp_path, encode):
    roots = [issue(f"root {i}", ca=True).cert for i in range(3)]
    if encode is encoding.der:
        del roots[1:]
    (tmp_path / "roots").write_bytes(encode(*roots))
    given = ("--identity", made, "--roots", tmp_path / "roots", "--host", "dps.example")
    done = configuring(*REQUIRED, *given)
    assert done.code == 0
    identity = Identity.from_files(str(tmp_path / "device" / "identity" / "a"))
    assert [
        x509.load_der_x509_certificate(bytes(root)) for root in identity.certs("roots")
    ] == roots


@pytest.mark.parametrize("content", [None, b"", b"hello"])
def test_bad_roots_file(configuring, made, tmp_path, content):
    file = tmp_path / "roots"
    if content is not None:
        file.write_bytes(content)
    refusal = configuring(*REQUIRED, "--identity", made, "--roots", file).refusal
    assert f"cannot read a certificate from {file}" in refusal


def test_wifi_password_from_the_environment(configuring, whole, monkeypatch):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, PASSWORD)
    assert configuring("--wifi-ssid", "home").code == 0
    assert written(whole)["wifi"] == {"ssid": "home", "password": PASSWORD}
    assert (whole / "config.json").stat().st_mode & 0o777 == 0o600


def test_wifi_password_may_be_empty(configuring, whole, monkeypatch):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, "")
    assert configuring("--wifi-ssid", "open").code == 0
    assert written(whole)["wifi"] == {"ssid": "open", "password": ""}


def test_wifi_password_is_not_printed_when_the_config_is_refused(configuring, whole, monkeypatch):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, PASSWORD)
    assert "messages" in configuring("--wifi-ssid", "home", "--messages", "-1").refusal


def test_wifi_password_without_a_terminal(configuring, whole):
    before = (whole / "config.json").read_bytes()
    assert WIFI_PASSWORD_VARIABLE in configuring("--wifi-ssid", "home").refusal
    assert (whole / "config.json").read_bytes() == before


@pytest.fixture
def terminal(whole):
    """Run `microdps config` at a terminal, and type → exit code, text on the terminal."""

    def run(typed: bytes):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "microdps_tools", "config", "--out", str(whole)]
        environment = {k: v for k, v in os.environ.items() if k != WIFI_PASSWORD_VARIABLE}
        with subprocess.Popen(
            [*command, "--wifi-ssid", "home"],
            cwd=CHECKOUT,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            shown = b""
            while b"Wi-Fi password: " not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, typed)
            try:
                while more := os.read(ours, 1000):
                    shown += more
            except OSError:  # EIO: the other end is closed
                pass
            os.close(ours)
            return process.wait(timeout=20), shown.decode()

    return run


def test_wifi_password_is_asked_for_at_a_terminal(terminal, whole):
    code, shown = terminal(PASSWORD.encode() + b"\n")
    assert code == 0
    assert PASSWORD not in shown
    assert written(whole)["wifi"] == {"ssid": "home", "password": PASSWORD}


def test_no_answer_at_a_terminal(terminal, whole):
    code, shown = terminal(b"\x04")
    assert code == 1
    assert "microdps: there is no Wi-Fi password" in shown
    assert "Traceback" not in shown
    assert "wifi" not in written(whole)


@pytest.mark.parametrize("part", ["key.der", "cert.der", "roots.der"])
def test_missing_file_of_the_identity_is_named(configuring, whole, part):
    (whole / "identity" / "a" / part).unlink()
    refusal = configuring().refusal
    assert "but the identity is not" in refusal
    assert f"identity/a/{part}" in refusal


@pytest.mark.parametrize("part", ["key.der", "cert.der"])
def test_certificate_folder_without_a_file(configuring, made, part):
    (made / part).unlink()
    refusal = configuring(*REQUIRED, "--identity", made, "--roots", "azure").refusal
    assert f"cannot read {made / part} (" in refusal


def test_key_of_another_certificate_is_refused(configuring, made, whole):
    other = make_chain("device-02", made.parent, "ec-p256", 30, False)
    (whole / "identity" / "a" / "key.der").write_bytes((other / "key.der").read_bytes())
    assert "identity/a/key.der" in configuring().refusal


@pytest.mark.parametrize("part", ["cert.der", "roots.der"])
def test_damaged_certificate_is_refused(configuring, whole, part):
    """Its length is still right: the device itself looks at no more."""
    file = whole / "identity" / "a" / part
    content = bytearray(file.read_bytes())
    content[4:8] = b"\0\0\0\0"
    file.write_bytes(content)
    assert f"identity/a/{part}" in configuring().refusal


def test_next_identity_goes_into_the_other_slot_with_the_same_roots(configuring, whole, tmp_path):
    first = {path.name: path.read_bytes() for path in (whole / "identity" / "a").iterdir()}
    renewed = make_chain("device-01", tmp_path / "certs", "ec-p256", 60, True)
    done = configuring("--identity", renewed, "--slot", "b", "--transport", "mqtt")
    assert (done.code, done.err) == (0, "")
    second = {path.name: path.read_bytes() for path in (whole / "identity" / "b").iterdir()}
    assert second["roots.der"] == first["roots.der"]
    assert second["key.der"] != first["key.der"]
    assert first == {path.name: path.read_bytes() for path in (whole / "identity" / "a").iterdir()}
    assert written(whole)["transport"] == "mqtt"
