"""DPS's service API: the certificates of an enrollment."""

import base64
import ssl

import pytest

from helpers.dps_calls import (
    CERTS_KEY,
    KINDS,
    Caller,
    pem_of,
    put,
    record,
    refused,
)
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue


def test_certificate_in_every_form(device, rest):
    der = ssl.PEM_cert_to_DER_cert(pem_of(device))
    for certificate in (
        pem_of(device),
        base64.b64encode(der).decode(),
        base64.b64encode(pem_of(device).encode()).decode(),
    ):
        kept = put(rest, "enrollments", device.name, certificate, deviceId=f"d{len(certificate)}")
        operation = device.register().json()["operationId"]
        state = device("GET", f"{device.path}/operations/{operation}").json()
        assert state["registrationState"]["deviceId"] == kept["deviceId"]


def test_secondary_certificate_is_accepted(simulator, device, rest):
    other = Caller(simulator, f"{device.name}1")
    given = record("enrollments", device.name, pem_of(other), deviceId="by-secondary")
    certificates = given["attestation"]["x509"]["clientCertificates"]
    certificates["secondary"] = {"certificate": pem_of(device)}
    assert rest("PUT", f"enrollments/{device.name}", given).status_code == 200
    operation = device.register().json()["operationId"]
    state = device("GET", f"{device.path}/operations/{operation}").json()
    assert state["registrationState"]["deviceId"] == "by-secondary"


def test_primary_and_secondary_may_be_the_same(rest, kind, name, new_cert):
    given = record(kind, name, new_cert)
    pair = given["attestation"]["x509"][CERTS_KEY[kind]]
    pair["secondary"] = pair["primary"]
    assert rest("PUT", f"{kind}/{name}", given).status_code == 200


@pytest.mark.parametrize("other", list(KINDS))
def test_certificate_of_another_enrollment_is_refused(rest, kind, other, name, new_cert):
    put(rest, kind, name, new_cert)
    answer = rest("PUT", f"{other}/{name}-2", record(other, f"{name}-2", new_cert))
    refused(answer, 409, 409001)
    assert rest("GET", f"{other}/{name}-2").status_code == 404


def test_replaced_certificate_can_be_enrolled_again(rest, kind, name, new_cert):
    put(rest, kind, name, new_cert)
    put(rest, kind, name, encoding.pem(issue("other", ca=True).cert).decode())
    put(rest, kind, f"{name}-2", new_cert)


def attested(value) -> dict:
    """An X.509 attestation with this as the primary certificate."""
    pair = {"primary": {"certificate": value}}
    return {"type": "x509", "x509": {key: pair for key in CERTS_KEY.values()}}


@pytest.mark.parametrize(
    "attestation",
    [
        None,
        "x509",
        [],
        {"type": "tpm", "tpm": {"endorsementKey": "AAAA"}},
        {"type": "x509"},
        {"type": "x509", "x509": {}},
        {"type": "x509", "x509": {key: {} for key in CERTS_KEY.values()}},
        {"type": "x509", "x509": {key: [] for key in CERTS_KEY.values()}},
        attested(""),
        attested(7),
        attested(None),
        attested("AAAA"),
        attested("no base64"),
        attested("ä"),
        attested("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
)
def test_bad_attestation(rest, kind, name, attestation):
    given = {KINDS[kind]: name, "attestation": attestation}
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)
    assert rest("GET", f"{kind}/{name}").status_code == 404


def test_attestation_of_another_type(rest, kind, name, new_cert):
    given = record(kind, name, new_cert)
    given["attestation"]["type"] = "symmetricKey"
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)
