"""microdps config says at once what it can see, and what it leaves unchanged."""

import json

import pytest

from microdps_tools.device.config import WIFI_PASSWORD_VARIABLE

PASSWORD = "correct horse"


def written(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("password", ["1234567", "x" * 64, "p\u00e4ssword1"])
def test_password_that_no_network_has(configuring, whole, monkeypatch, password):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, password)
    before = written(whole)
    refusal = configuring("--wifi-ssid", "home").refusal
    assert "8 to 63 printable ASCII characters" in refusal and password not in refusal
    assert "1 to 32 bytes" in configuring("--wifi-ssid", "").refusal
    assert "1 to 32 bytes" in configuring("--wifi-ssid", "\u00e9" * 17).refusal
    assert written(whole) == before


def test_open_network_needs_no_password(configuring, whole):
    assert configuring("--wifi-ssid", "cafe", "--wifi-open").code == 0
    assert written(whole)["wifi"] == {"ssid": "cafe", "password": ""}


def test_kept_settings_are_printed_without_the_password(configuring, whole, monkeypatch):
    monkeypatch.setenv(WIFI_PASSWORD_VARIABLE, PASSWORD)
    configuring("--wifi-ssid", "home", "--messages", "3", "--host", "localhost:8443")
    shown = configuring("--interval-s", "5").out
    assert "unchanged: " in shown and "messages 3" in shown and "wifi home" in shown


def test_azures_roots_bring_azures_host(configuring, whole):
    """A host of one's own DPS instance stays."""
    default = "global.azure-devices-provisioning.net"
    configuring("--host", "localhost:8443")
    assert configuring("--roots", "azure").code == 0
    assert written(whole)["host"] == default
    own = "mine.azure-devices-provisioning.net"
    configuring("--host", own)
    configuring("--roots", "azure")
    assert written(whole)["host"] == own


def test_other_common_name_is_said_at_once(configuring, whole):
    done = configuring("--registration-id", "another")
    assert done.code == 1
    assert "error: the certificate's common name is 'device-01'" in done.out
    assert "ready" not in done.out


def test_file_of_notepad_is_read(configuring, whole):
    path = whole / "config.json"
    path.write_bytes(path.read_text().encode("utf-8-sig"))
    assert configuring("--messages", "3").code == 0
    assert path.read_bytes().startswith(b"{")
