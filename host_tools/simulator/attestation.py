"""Attestation: find the enrollment that accepts a client's certificate chain.

The chain is walked from the leaf up, and the first enrollment found decides. The leaf's common
name must be the registration ID. The device must send every issuer up to, and including, a
certificate that DPS knows.

Sources: "X.509 certificate attestation", "Use X.509 certificates over HTTPS without an SDK" and
"Verify X.509 CA certificates with DPS" (Azure documentation).
"""

import datetime

from ..certs.reading import allows_client_auth, is_ca, signed_by
from .call import ApiError
from .store.enrollments import ca_key
from .store.store import Store
from .tls import Client


def attest(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[tuple[str, str], dict]:
    """The enrollment for a client: kind ("individual" or "group") and ID, and its record.

    now  seconds since 1970
    Raises ApiError, always with the same status and code, as DPS does.
    """
    found = enrollment_of(client, registration_id, store, now)
    record = store.enrollments.get(*found)
    if record is None:
        raise _error("Invalid certificate.")
    return found, record


def enrollment_of(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[str, str]:
    """Kind and ID of the enrollment for a client. Raises ApiError.

    A result is kept for the connection, until an enrollment changes or a certificate expires.
    """
    key = (store.generation, registration_id.lower())
    if client.attested and client.attested[0] == key and now < client.attested[1]:
        return client.attested[2]
    found = _find_enrollment(client, registration_id.lower(), store, now)
    until = min(cert.not_valid_after_utc for cert in client.chain).timestamp()
    client.attested = (key, until, found)
    return found


def _find_enrollment(
    client: Client, registration_id: str, store: Store, now: float
) -> tuple[str, str]:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    chain = client.chain
    if not chain:
        # Inferred: the text. The status is documented.
        raise _error("Unauthorized")
    if client.names[0].lower() != registration_id:
        raise _error("Invalid certificate.")
    if not _read(allows_client_auth, chain[0]):
        raise _error("Invalid certificate.")
    for at, cert in enumerate(chain):
        if not cert.not_valid_before_utc <= moment <= cert.not_valid_after_utc:
            raise _error("Invalid certificate.")
        if at and not (_read(is_ca, cert) and signed_by(chain[at - 1], cert)):
            raise _error("Invalid certificate.")
        found = _enrollment_with(client.thumbprints[at], store)
        # An individual enrollment has the leaf's certificate. A group has an issuer's.
        if found and (found[0] == "group") == (at > 0):
            if found[0] == "individual" and found[1] != registration_id:
                raise _error("Invalid certificate.")
            return found
    raise _error("CA certificate not found")


def _enrollment_with(thumbprint: str, store: Store) -> tuple[str, str] | None:
    """The enrollment that has a certificate, or refers to it as a verified CA certificate.

    Inferred: a certificate in the enrollment group itself needs no proof of possession.
    """
    found = store.enrollments.with_certificate(thumbprint)
    ca = None if found else store.ca_certificates.with_thumbprint(thumbprint)
    if ca and ca[1]["properties"]["isVerified"]:
        found = store.enrollments.with_certificate(ca_key(ca[0]))
    return found


def _read(function, *arguments):
    """Call a function that reads a certificate. Raises ApiError if it is unreadable."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise _error("Invalid certificate.") from error


def _error(message: str) -> ApiError:
    """DPS tells little: the code is the same for everything that is wrong with a certificate."""
    return ApiError(401, 401002, message)
