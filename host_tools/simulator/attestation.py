"""Is this chain of certificates one that an enrollment stands for?

Source: Azure documentation, "X.509 certificate attestation", "Use X.509 certificates over HTTPS
without an SDK" and "Verify X.509 CA certificates with DPS": the chain is walked from the leaf
upwards, and the first enrollment found decides; the leaf's common name is the registration ID; the
device sends every issuer up to and including one that DPS knows.
"""

import datetime

from cryptography import x509

from ..certs.reading import allows_client_auth, extension, signed_by
from .http_service import Refusal
from .store.store import Store
from .tls import Client


def attest(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[tuple[str, str], dict]:
    """Judge the chain that a device sent → kind ("individual" or "group") and ID of its
    enrollment, and its record. now: in seconds since 1970.

    Raises Refusal, whose status and code are always the same, as the service's are.
    """
    found = enrollment_of(client, registration_id, store, now)
    record = store.enrollment(*found)
    if record is None:
        raise _refusal("Invalid certificate.")
    return found, record


def enrollment_of(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[str, str]:
    """Kind and ID of the enrollment that a chain leads to. Raises Refusal.

    What was judged stays so for a connection until an enrollment changes, or a certificate ends.
    """
    mark = (store.generation, registration_id.lower())
    if client.judged and client.judged[0] == mark and now < client.judged[1]:
        return client.judged[2]
    found = _enrollment_of(client, registration_id.lower(), store, now)
    until = min(cert.not_valid_after_utc for cert in client.chain).timestamp()
    client.judged = (mark, until, found)
    return found


def _enrollment_of(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[str, str]:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    chain = client.chain
    if not chain:
        # Inferred: the text. Documented is the status.
        raise _refusal("Unauthorized")
    if client.names[0].lower() != registration_id:
        raise _refusal("Invalid certificate.")
    if not _read(allows_client_auth, chain[0]):
        raise _refusal("Invalid certificate.")
    for at, cert in enumerate(chain):
        if not cert.not_valid_before_utc <= moment <= cert.not_valid_after_utc:
            raise _refusal("Invalid certificate.")
        if at and not _issued(chain[at - 1], cert):
            raise _refusal("Invalid certificate.")
        found = _enrolled(client.thumbprints[at], store)
        # An individual enrollment is for the leaf alone, a group's certificate stands above it.
        if found and (found[0] == "group") == (at > 0):
            if found[0] == "individual" and found[1] != registration_id:
                raise _refusal("Invalid certificate.")
            return found
    raise _refusal("CA certificate not found")


def _enrolled(mark: str, store: Store) -> tuple[str, str] | None:
    """The enrollment that has the certificate of a thumbprint, or refers to it as a verified CA's.

    Inferred: one that an enrollment group has itself needs no proof of possession.
    """
    found = store.enrolled(mark)
    authority = None if found else store.authority_of(mark)
    if authority and authority[1]["properties"]["isVerified"]:
        found = store.enrolled(store.ca_mark(authority[0]))
    return found


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
