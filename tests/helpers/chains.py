"""A store with enrollments, and certificate chains that are judged by it."""

import base64
import datetime
import time
from dataclasses import dataclass

import pytest
from cryptography import x509

from microdps_tools.certs import encoding
from microdps_tools.certs.making import CertAndKey
from microdps_tools.simulator.attestation import attest, enrollment_of
from microdps_tools.simulator.call import ApiError
from microdps_tools.simulator.store.store import Store
from microdps_tools.simulator.tls import Client, thumbprint

NOW = datetime.datetime.now(datetime.UTC)
PAST = NOW - datetime.timedelta(days=60)
FUTURE = NOW + datetime.timedelta(days=60)
NAME = "device-01"
INVALID = "Invalid certificate."
NOT_FOUND = "CA certificate not found"


@dataclass
class World:
    """A store, and issuers for certificates."""

    store: Store
    root: CertAndKey
    intermediate: CertAndKey

    def upload(self, pair: CertAndKey, verified: bool = True) -> None:
        """Upload a CA certificate."""
        content = base64.b64encode(encoding.der(pair.cert)).decode()
        record = {"properties": {"isVerified": verified, "certificate": content}}
        mark = thumbprint(pair.cert)
        self.store.ca_certificates.put(f"ca-{mark[:8]}", mark, record)

    def enroll(self, kind: str, name: str, pair: CertAndKey) -> None:
        self.store.enrollments.put(kind, name, {"is": f"{kind} {name}"}, [thumbprint(pair.cert)])


def chain(*pairs: CertAndKey) -> list[x509.Certificate]:
    return [pair.cert for pair in pairs]


def accepted(world, sent, kind, name, registration_id=NAME, **reading) -> None:
    record = {"is": f"{kind} {name}"}
    found = attest(Client(sent), registration_id, world.store, time.time(), **reading)
    assert found == ((kind, name), record)


def refused(world, sent, message, registration_id=NAME, **reading) -> str:
    """Check that a chain is refused → the cause for the log."""
    for judge in (enrollment_of, attest):
        with pytest.raises(ApiError) as caught:
            judge(Client(sent), registration_id, world.store, time.time(), **reading)
        refusal = caught.value
        assert (refusal.status, refusal.code, refusal.message) == (401, 401002, message)
    assert refusal.cause
    return refusal.cause
