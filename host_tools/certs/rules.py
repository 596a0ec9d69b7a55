"""The rules for names, IDs, dates and chains of certificates, in one place.

`certs`, `config`, `enroll` and `check` use them. A function returns "" if the rule is kept;
otherwise it returns what is wrong, and what to do.
"""

import datetime
import re
from collections.abc import Iterator

from cryptography import x509

from .reading import allows_client_auth, common_name, is_ca, signed_by

# A device ID in a hub ("Understand the identity registry", Azure documentation).
DEVICE_ID = re.compile(r"[A-Za-z0-9\-.+%_#*?!(),:=@$']{1,128}")

# How all ID scopes look that were ever seen. Azure does not say so, so others are no error.
ID_SCOPE = re.compile(r"0ne[0-9A-Fa-f]{8}")


def name_of(cert: x509.Certificate) -> str:
    """A certificate's common name, or its whole subject if it has none."""
    return common_name(cert) or cert.subject.rfc4514_string() or "a certificate without a subject"


def name_problem(leaf: x509.Certificate, registration_id: str) -> str:
    """DPS wants the registration ID as the common name, and ignores the case of letters."""
    name = common_name(leaf)
    if name.lower() == registration_id.lower():
        return ""
    return (
        f"the certificate's common name is {name!r}, and the registration ID is"
        f" {registration_id!r}: DPS refuses that with 401002; make them equal"
    )


def leaf_problem(leaf: x509.Certificate) -> str:
    """An individual enrollment has the certificate of a device, not that of a CA."""
    try:
        if is_ca(leaf):
            return (
                f"the certificate of {name_of(leaf)!r} is a CA's, and a device needs one with"
                " CA:FALSE: make it with 'microdps certs self-signed' or openssl's '-addext"
                " basicConstraints=critical,CA:FALSE'; a CA is enrolled with 'microdps enroll"
                " group'"
            )
    except ValueError:
        return unreadable(leaf)
    return ""


def usage_problem(leaf: x509.Certificate) -> str:
    try:
        usable = allows_client_auth(leaf)
    except ValueError:
        return unreadable(leaf)
    if usable:
        return ""
    return "the certificate's extended key usage has no clientAuth: make a new certificate with it"


def unreadable(cert: x509.Certificate) -> str:
    return (
        f"the certificate's extensions cannot be read, in that of {name_of(cert)!r}: make a new"
        " certificate"
    )


def ca_problem(cert: x509.Certificate) -> str:
    """A group has the certificate of a CA."""
    try:
        if is_ca(cert):
            return ""
    except ValueError:
        return unreadable(cert)
    return (
        f"the certificate of {name_of(cert)!r} is not a CA's, so it cannot be an issuer: use the"
        " CA's certificate, with basicConstraints CA:TRUE"
    )


def chain_problems(chain: list[x509.Certificate]) -> Iterator[str]:
    """Each certificate of a chain, the leaf first, is signed by the next one, which is a CA's."""
    for cert, issuer in zip(chain, chain[1:], strict=False):
        if not signed_by(cert, issuer):
            yield (
                f"{cert.subject.rfc4514_string()} is not signed by"
                f" {issuer.subject.rfc4514_string()}, which follows it in the chain: 'microdps"
                " certs convert' puts a chain into its order"
            )
        elif problem := ca_problem(issuer):
            yield problem


def date_problem(cert: x509.Certificate, now: datetime.datetime | None = None) -> str:
    now = now or datetime.datetime.now(datetime.UTC)
    start, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    if start <= now <= end:  # the usual case must be fast
        return ""
    name = cert.subject.rfc4514_string()
    if now < start:
        return f"{name} becomes valid on {start:%F %R} UTC"
    return f"{name} expired on {end:%F}: renew it"


def device_id_problem(device_id: str) -> str:
    if DEVICE_ID.fullmatch(device_id):
        return ""
    return (
        f"{device_id!r} is not a device ID: use 1 to 128 of A-Z a-z 0-9 and - . + % _ # * ? ! ( )"
        " , : = @ $ '"
    )


def id_scope_warning(id_scope: str) -> str:
    if ID_SCOPE.fullmatch(id_scope):
        return ""
    return (
        f"the ID scope {id_scope!r} does not look like 0ne and eight more: compare it with the"
        " Overview page of the DPS instance"
    )


def lowest(certs: list[x509.Certificate]) -> x509.Certificate:
    """The certificate of a file that signed none of the others: the leaf, or the lowest CA."""
    for cert in certs:
        if not any(one != cert and signed_by(one, cert) for one in certs):
            return cert
    return certs[0]
