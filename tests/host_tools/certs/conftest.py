"""Shared by the tests of certificates: a certificate folder with a chain."""

import pytest

NAME = "device-01"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "certs"


@pytest.fixture
def made(command, out):
    """A folder with a root, an intermediate and a certificate for device-01."""
    assert command("certs", "chain", NAME, "--out", out).code == 0
    return out
