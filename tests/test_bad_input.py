"""Bad identities and registrations that DPS refuses give a clear error, in time."""

import datetime
import shutil

import pytest

from helpers.errors import expect
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll.enrollment import attestation

PAST = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=60)
FUTURE = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=60)


@pytest.fixture
def device(simulator, which, request):
    """A new device for each test → its name, its identity folder."""
    name = f"bad-{abs(hash(request.node.name)) % 10**9}"
    return name, simulator.device(name)


@pytest.mark.parametrize("part", ["key", "cert", "roots"])
def test_missing_file(simulator, which, device, part):
    name, identity = device
    (identity / f"{part}.der").unlink()
    expect(simulator.provision(which, identity, name), "IdentityError", "missing", f"{part}.der")


@pytest.mark.parametrize("part", ["cert", "roots"])
def test_damaged_certificate(simulator, which, device, part):
    """Its length and its public key are right, so only TLS notices the damage."""
    name, identity = device
    file = identity / f"{part}.der"
    content = bytearray(file.read_bytes())
    content[4:8] = b"\0\0\0\0"
    file.write_bytes(content)
    expect(simulator.provision(which, identity, name), "IdentityError", "unreadable", part)


def test_damaged_key(simulator, which, device):
    name, identity = device
    key = identity / "key.der"
    content = bytearray(key.read_bytes())
    at = content.index(bytes.fromhex("06082a8648ce3d030107"))
    content[at + 2 : at + 10] = b"\x2a" * 8
    key.write_bytes(content)
    expect(simulator.provision(which, identity, name), "IdentityError", "unreadable", "key.der")


def test_key_of_another_certificate(simulator, which, device):
    name, identity = device
    shutil.copy(simulator.device(f"{name}-other") / "key.der", identity / "key.der")
    expect(simulator.provision(which, identity, name), "IdentityError", "mismatch", "key.der")


def test_wrong_root(simulator, which, device):
    name, identity = device
    other = issue("another root", ca=True)
    (identity / "roots.der").write_bytes(encoding.der(other.cert))
    expect(
        simulator.provision(which, identity, name),
        "LinkError",
        "server-certificate",
        "roots.der",
        simulator.dps,
    )


def test_clock_not_set(simulator, which, device):
    """An ESP32 starts at 2000-01-01."""
    if not shutil.which("faketime"):
        pytest.skip("needs Debian's package faketime")
    name, identity = device
    result = simulator.provision(which, identity, name, prefix=("faketime", "2000-01-01 00:00:10"))
    expect(result, "LinkError", "clock", "the clock is not set", "NTP", within_ms=10**9)


def test_unknown_id_scope(simulator, which, device):
    name, identity = device
    result = simulator.provision(which, identity, name, id_scope="0ne99999999")
    expect(result, "ServiceError", "401002", "the ID scope", "HTTP 401", "tracking ID")


def test_no_enrollment(simulator, which):
    name = f"self-signed-{which.name}"
    identity = simulator.write_identity(name, issue(name))
    expect(simulator.provision(which, identity, name), "ServiceError", "401002", "enrollment")


def test_common_name_differs_from_the_registration_id(simulator, which, device):
    _, identity = device
    result = simulator.provision(which, identity, "somebody-else")
    expect(result, "ServiceError", "401002", "CN is the registration ID")


@pytest.mark.parametrize("start", [PAST, FUTURE])
def test_device_certificate_outside_its_validity(simulator, which, device, start):
    name, _ = device
    identity = simulator.device(name, start=start, days=30)
    expect(simulator.provision(which, identity, name), "ServiceError", "401002", "dates")


def test_disabled_enrollment(simulator, which):
    name = f"disabled-{which.name}"
    pair = issue(name)
    identity = simulator.write_identity(name, pair)
    record = {
        "registrationId": name,
        "attestation": attestation("enrollments", identity.parent.parent / "cert.pem"),
        "provisioningStatus": "disabled",
    }
    simulator.service.put("enrollments", name, record)
    expect(simulator.provision(which, identity, name), "ServiceError", "disabled", "enrollment")
