"""Shared by the tests of devices: a device's folder that `microdps config` has made."""

import pytest

from microdps_tools.certs.certificate_folder import make_chain
from microdps_tools.device.config import WIFI_PASSWORD_VARIABLE

PASSWORD = "correct horse"
REQUIRED = ("--id-scope", "0ne00111111", "--registration-id", "device-01")


@pytest.fixture
def made(tmp_path):
    """Certificates of device-01."""
    return make_chain("device-01", tmp_path / "certs", "ec-p256", 30, False)


@pytest.fixture
def configuring(command, tmp_path, monkeypatch):
    """Run `microdps config` on the folder `device` → Done. The output never has the password."""
    monkeypatch.delenv(WIFI_PASSWORD_VARIABLE, raising=False)

    def run(*arguments):
        done = command("config", "--out", tmp_path / "device", *arguments)
        assert PASSWORD not in done.out + done.err
        return done

    return run


@pytest.fixture
def whole(configuring, made, tmp_path):
    """A complete device's folder."""
    done = configuring(*REQUIRED, "--identity", made, "--roots", "azure")
    assert (done.code, done.err) == (0, "")
    return tmp_path / "device"
