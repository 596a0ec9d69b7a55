"""Shared by the tests of DPS: a device, a kind of enrollment, and a certificate for it."""

import re

import pytest

from helpers.dps_calls import KINDS, Caller
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue


@pytest.fixture
def name(request):
    """A registration ID for each test."""
    return f"dps-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[-50:]}-0"


@pytest.fixture
def device(simulator, name):
    return Caller(simulator, name)


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def new_cert():
    """A new CA certificate, as PEM."""
    return encoding.pem(issue("enrolled", ca=True).cert).decode()
