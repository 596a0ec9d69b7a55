"""Is this chain of certificates one that an enrollment stands for?

Source: Azure documentation, "X.509 certificate attestation" and "Use X.509 certificates over
HTTPS without an SDK": the chain is walked from the leaf upwards, and the first enrollment found
decides; the leaf's common name is the registration ID; the device sends every issuer up to and
including one that DPS knows.
"""

import datetime

from cryptography import x509

from host_tools.certs import common_name, extension, for_clients, signed_by
from host_tools.simulator.answers import Refusal, thumbprint
from host_tools.simulator.store import Store


def attest(chain: list[x509.Certificate], registration_id: str, store: Store) -> tuple[str, dict]:
    """Judge the chain that a device sent → kind ("individual" or "group") and record of its
    enrollment. Raises Refusal, whose status and code are always the same, as the service's are.
    """
    kind, name = enrollment_of(chain, registration_id, store)
    record = store.enrollment(kind, name)
    if record is None:
        raise _refusal("Invalid certificate.")
    return kind, record


def enrollment_of(
    chain: list[x509.Certificate], registration_id: str, store: Store
) -> tuple[str, str]:
    """Kind and ID of the enrollment that a chain leads to. Raises Refusal."""
    if not chain:
        # Inferred: the text. Documented is the status.
        raise _refusal("Unauthorized")
    leaf = chain[0]
    if common_name(leaf).lower() != registration_id.lower():
        raise _refusal("Invalid certificate.")
    if not _read(for_clients, leaf):
        raise _refusal("Invalid certificate.")
    for at, cert in enumerate(chain):
        if not _in_its_time(cert):
            raise _refusal("Invalid certificate.")
        if at and not _issued(chain[at - 1], cert):
            raise _refusal("Invalid certificate.")
        found = store.enrolled(thumbprint(cert))
        # An individual enrollment is for the leaf alone, a group's certificate stands above it.
        if found and (found[0] == "group") == (at > 0):
            if found[0] == "individual" and found[1] != registration_id.lower():
                raise _refusal("Invalid certificate.")
            return found
    raise _refusal("CA certificate not found")


def _in_its_time(cert: x509.Certificate) -> bool:
    now = datetime.datetime.now(datetime.UTC)
    return cert.not_valid_before_utc <= now <= cert.not_valid_after_utc


def _issued(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Is the issuer a CA, and does its key verify the certificate's signature?"""
    constraints = _read(extension, issuer, x509.BasicConstraints)
    return constraints is not None and constraints.ca and signed_by(cert, issuer)


def _read(function, *arguments):
    """What a function reads in a certificate. One that cannot be read is refused."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise _refusal("Invalid certificate.") from error


def _refusal(message: str) -> Refusal:
    """DPS tells little: the code is the same for all that is wrong with a certificate."""
    return Refusal(401, 401002, message)
