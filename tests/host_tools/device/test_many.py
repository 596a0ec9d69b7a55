"""config --devices: a device's folder for each certificate folder, all or none."""

import datetime
import json
import shutil

import pytest

from microdps.program.config import KEYS
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.device.config import WIFI_PASSWORD_VARIABLE
from microdps_tools.files import write_files

LONG_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=4000)
GIVEN = ("--id-scope", "0ne00111111", "--roots", "azure")


@pytest.fixture
def certs(command, tmp_path, monkeypatch):
    """A folder with the certificates of five devices; the current folder is its parent."""
    monkeypatch.chdir(tmp_path)
    ids = "registration_id\n" + "".join(f"device-{number}\n" for number in range(5))
    (tmp_path / "devices.csv").write_text(ids)
    assert command("certs", "batch", "devices.csv").code == 0
    return tmp_path / "certs"


@pytest.fixture
def configuring(command):
    return lambda *given: command("config", "--devices", "certs", *given)


def contents(folder) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_each_certificate_becomes_a_device_that_check_takes(
    command, configuring, certs, tmp_path, monkeypatch
):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, "correct horse")
    done = configuring(*GIVEN, "--wifi-ssid", "home", "--interval-s", "10")
    assert (done.code, done.out, done.err) == (0, "devices: 5 devices ready\n", "")
    for number in range(5):
        folder = tmp_path / "devices" / f"device-{number}"
        settings = json.loads((folder / "config.json").read_text())
        assert settings == {
            "id_scope": "0ne00111111",
            "wifi": {"ssid": "home", "password": "correct horse"},
            "interval_s": 10,
            "host": "global.azure-devices-provisioning.net",
            "registration_id": f"device-{number}",
        }
        assert (folder / "config.json").stat().st_mode & 0o777 == 0o600
        assert (folder / "identity" / "a" / "key.der").stat().st_mode & 0o777 == 0o600
        assert command("check", folder, "--board", "ESP32_GENERIC").code == 0


def test_second_run_keeps_what_is_not_given(configuring, certs, tmp_path):
    configuring(*GIVEN)
    before = contents(tmp_path / "devices")
    assert configuring().out == "devices: 5 devices ready\n"
    assert contents(tmp_path / "devices") == before
    shutil.rmtree(tmp_path / "devices" / "device-3")
    assert "device-3 has no roots" in configuring().refusal
    assert configuring(*GIVEN).code == 0
    assert contents(tmp_path / "devices") == before


@pytest.mark.parametrize("problem", ["key", "name", "damaged", "expired", "twice"])
def test_one_bad_device_and_nothing_is_written(configuring, certs, tmp_path, problem):
    folder = certs / "device-3"
    if problem == "key":
        shutil.copy(certs / "device-2" / "key.der", folder)
    elif problem == "damaged":
        (folder / "cert.der").write_bytes(b"x")
    elif problem == "twice":
        shutil.copytree(folder, certs / "another")
    else:
        start = LONG_AGO if problem == "expired" else None
        pair = issue("not an ID" if problem == "name" else "device-3", start=start)
        write_files(folder, device_files(pair, []), force=True)
    words = {"name": "'not an ID' is not a registration ID", "twice": "both for device-3"}
    refusal = configuring(*GIVEN).refusal
    assert words.get(problem, "device-3") in refusal
    assert not (tmp_path / "devices").exists()


def test_issuer_that_has_expired(configuring, certs, tmp_path):
    old = issue("old CA", ca=True, start=LONG_AGO)
    files = device_files(issue("device-3", old), [old.cert])
    write_files(certs / "device-3", files, force=True)
    refusal = configuring(*GIVEN).refusal
    assert "device-3: CN=old CA expired on " in refusal
    assert not (tmp_path / "devices").exists()


def test_roots_of_another_service_than_the_host(configuring, certs, tmp_path):
    """As 'microdps check' says it for one device."""
    given = ("--id-scope", "0ne00111111", "--roots", "certs/root.cert.pem")
    assert "lacks a root of global.azure-devices" in configuring(*given).refusal
    assert not (tmp_path / "devices").exists()
    assert configuring(*given, "--host", "dps.example").code == 0
    assert "lacks a root of" in configuring("--host", KEYS["host"][1]).refusal


def test_wrong_usage(command, configuring, certs, tmp_path):
    for more in (["--registration-id", "x"], ["--identity", "certs/device-1"], ["--slot", "b"]):
        assert "leave out" in configuring(*GIVEN, *more).refusal
    assert "id_scope" in configuring("--roots", "azure").refusal
    done = command("config", "--devices", tmp_path / "none", *GIVEN)
    assert "microdps certs batch" in done.refusal
    assert not (tmp_path / "devices").exists()


def test_id_scope_of_another_form_is_noted(configuring, certs):
    done = configuring("--id-scope", "abc", "--roots", "azure")
    assert done.code == 0
    assert done.out.startswith("note: the ID scope 'abc' does not look like 0ne")


def test_device_whose_key_is_gone_and_that_has_no_folder(configuring, certs):
    (certs / "device-1" / "key.der").unlink()
    assert "has no key.der" in configuring(*GIVEN).refusal
