"""Attestation: find the enrollment that accepts a client's certificate chain.

The chain is walked from the leaf up, and the first enrollment found decides. The leaf's common
name must be the registration ID. The device must send every issuer up to the enrolled certificate
and, from there on, up to one that was uploaded and verified. An individual enrollment needs no
verified certificate if the device sends its leaf alone, or if the leaf signed itself.

Sources: "X.509 certificate attestation", "Use X.509 certificates over HTTPS without an SDK" and
"Verify X.509 CA certificates with DPS" (Azure documentation).
"""

import datetime

from cryptography import x509

from ..certs.reading import allows_client_auth, extension, is_ca, signed_by
from .call import ApiError
from .store.enrollments import ca_key
from .store.store import Store
from .tls import Client, thumbprint

INVALID, NOT_FOUND = "Invalid certificate.", "CA certificate not found"


def attest(
    client: Client, registration_id: str, store: Store, now: float, stored_ca: bool = False
) -> tuple[tuple[str, str], dict]:
    """The enrollment for a client: kind ("individual" or "group") and ID, and its record.

    now        seconds since 1970
    stored_ca  accept a verified certificate also if the device did not send it, and it signed the
               last certificate that the device sent
    Raises ApiError, always with the same status and code, as DPS does. Its cause says more.
    """
    found = enrollment_of(client, registration_id, store, now, stored_ca)
    record = store.enrollments.get(*found)
    if record is None:
        raise _error(INVALID, f"the {found[0]} enrollment {found[1]} was deleted")
    return found, record


def enrollment_of(
    client: Client, registration_id: str, store: Store, now: float, stored_ca: bool = False
) -> tuple[str, str]:
    """Kind and ID of the enrollment for a client. Raises ApiError.

    A result is kept for the connection, until an enrollment changes or a certificate expires.
    """
    key = (store.generation, registration_id.lower())
    if client.attested and client.attested[0] == key and now < client.attested[1]:
        return client.attested[2]
    found = _find_enrollment(client, registration_id.lower(), store, now, stored_ca)
    until = min(cert.not_valid_after_utc for cert in client.chain).timestamp()
    client.attested = (key, until, found)
    return found


def _find_enrollment(
    client: Client, registration_id: str, store: Store, now: float, stored_ca: bool
) -> tuple[str, str]:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    chain = client.chain
    _check_leaf(client, registration_id)
    signer = _stored_signer(store, chain[-1]) if stored_ca else None
    found = None
    for at, cert in enumerate([*chain, *([signer] if signer else [])]):
        _check_validity(cert, moment)
        if at:
            _check_link(chain[at - 1], cert, store)
        mark = client.thumbprints[at] if at < len(chain) else thumbprint(cert)
        found = found or _enrollment_with(mark, at, registration_id, store)
        alone = found and found[0] == "individual" and (not chain[1:] or _is_self_issued(chain[0]))
        if found and (alone or (at and _is_verified(mark, store))):
            return found
    raise _error(NOT_FOUND, _why_not_found(client, found))


def _check_leaf(client: Client, registration_id: str) -> None:
    """Raises ApiError unless the client sent a certificate for this registration ID."""
    if not client.chain:
        # Inferred: the text. The status is documented.
        raise _error("Unauthorized", "the client sent no certificate")
    if client.names[0].lower() != registration_id:
        cause = f"the leaf's common name is {client.names[0]!r}, and the registration ID is"
        raise _error(INVALID, f"{cause} {registration_id!r}")
    if not _read(allows_client_auth, client.chain[0]):
        raise _error(INVALID, "the leaf's extended key usage lacks clientAuth")


def _check_validity(cert: x509.Certificate, moment: datetime.datetime) -> None:
    start, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    if not start <= moment <= end:
        cause = f"the certificate {_subject(cert)} is valid from {start:%Y-%m-%d %H:%M:%S} to"
        raise _error(INVALID, f"{cause} {end:%Y-%m-%d %H:%M:%S}, and it is {moment:%F %T} UTC")


def _check_link(cert: x509.Certificate, issuer: x509.Certificate, store: Store) -> None:
    """Raises ApiError unless the issuer is a CA that signed the certificate.

    A certificate without BasicConstraints is a CA's if it is enrolled or was uploaded.
    """
    if not _read(is_ca, issuer):
        mark = thumbprint(issuer)
        known = store.enrollments.with_certificate(mark) or _is_verified(mark, store)
        if not known or _read(extension, issuer, x509.BasicConstraints) is not None:
            raise _error(INVALID, f"the certificate {_subject(issuer)} is not a CA's")
    if not signed_by(cert, issuer):
        cause = f"{_subject(cert)} (issuer {_name(cert.issuer)}) was not signed by the next"
        raise _error(INVALID, f"{cause} certificate of the chain, {_subject(issuer)}")


def _enrollment_with(
    mark: str, at: int, registration_id: str, store: Store
) -> tuple[str, str] | None:
    """The enrollment that has a certificate, or refers to it as a verified CA certificate.

    mark  its thumbprint
    at    its place in the chain
    """
    found = store.enrollments.with_certificate(mark)
    ca = None if found else store.ca_certificates.with_thumbprint(mark)
    if ca and ca[1]["properties"]["isVerified"]:
        found = store.enrollments.with_certificate(ca_key(ca[0]))
    # An individual enrollment has the leaf's certificate. A group has an issuer's.
    if not found or (found[0] == "group") != (at > 0):
        return None
    if found[0] == "individual" and found[1] != registration_id:
        cause = f"the leaf is in the individual enrollment {found[1]!r}, and the registration ID"
        raise _error(INVALID, f"{cause} is {registration_id!r}")
    return found


def _is_verified(mark: str, store: Store) -> bool:
    """Was a certificate uploaded and verified? mark: its thumbprint."""
    ca = store.ca_certificates.with_thumbprint(mark)
    return bool(ca and ca[1]["properties"]["isVerified"])


def _is_self_issued(cert: x509.Certificate) -> bool:
    return cert.subject == cert.issuer


def _stored_signer(store: Store, cert: x509.Certificate) -> x509.Certificate | None:
    """The uploaded and verified certificate that signed this one."""
    if _is_self_issued(cert):
        return None
    return next(
        (ca for ca in store.ca_certificates.verified_certificates() if signed_by(cert, ca)), None
    )


def _why_not_found(client: Client, found: tuple[str, str] | None) -> str:
    last = client.chain[-1]
    end = f"the chain ends with {_subject(last)}"
    if not _is_self_issued(last):
        end += f", whose issuer {_name(last.issuer)} is not in it"
    if found:
        return (
            f"the {found[0]} enrollment {found[1]} is right, but no certificate of the chain, from"
            f" the enrolled one up, is verified; {end}: upload one that the device sends, with"
            " 'microdps enroll ca NAME --cert FILE --verified'"
        )
    names = ", ".join(map(_subject, client.chain))
    return f"no certificate of the chain is enrolled: {names}; {end}"


def _subject(cert: x509.Certificate) -> str:
    return _name(cert.subject)


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "(no name)"


def _read(function, *arguments):
    """Call a function that reads a certificate. Raises ApiError if it is unreadable."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise _error(INVALID, f"a certificate is unreadable: {error}") from error


def _error(message: str, cause: str) -> ApiError:
    """DPS tells little: the code is the same for everything that is wrong with a certificate."""
    return ApiError(401, 401002, message, cause=cause)
