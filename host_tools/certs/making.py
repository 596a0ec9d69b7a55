"""Make a certificate, and its private key.

Sources: RFC 5280; "Create and provision devices with X.509 certificates" (Azure documentation) for
the extensions.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .defaults import CA_DAYS, DEVICE_DAYS
from .keys import KEY_TYPES, PrivateKey

__all__ = ["CA_DAYS", "DEVICE_DAYS", "CertAndKey", "issue"]

# Clocks differ, so a certificate becomes valid a little before it is made.
BACKDATE = datetime.timedelta(minutes=5)


@dataclass
class CertAndKey:
    """A certificate and its private key."""

    cert: x509.Certificate
    key: PrivateKey


def issue(
    name: str,
    issuer: CertAndKey | None = None,
    *,
    key_type: str = "ec-p256",
    days: float = DEVICE_DAYS,
    ca: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    hosts: tuple[x509.GeneralName, ...] = (),
    start: datetime.datetime | None = None,
    key: PrivateKey | None = None,
) -> CertAndKey:
    """Make a certificate, and a key if none is given.

    name    common name of the subject
    issuer  the CA that signs it; None: the certificate is self-signed
    days    how long it is valid
    usage   extended key usage; a CA certificate gets none
    hosts   subject alternative names
    start   the first moment at which it is valid; None: now
    key     its key; None: make a new key of the key type
    """
    key = key or KEY_TYPES[key_type]()
    signer = issuer.key if issuer else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = start or datetime.datetime.now(datetime.UTC) - BACKDATE
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.cert.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
    )
    for extension, critical in _extensions(key, signer, ca, usage, hosts):
        builder = builder.add_extension(extension, critical)
    return CertAndKey(builder.sign(signer, _digest(signer)), key)


def _extensions(
    key: PrivateKey,
    signer: PrivateKey,
    ca: bool,
    usage: x509.ObjectIdentifier,
    hosts: tuple[x509.GeneralName, ...],
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Each extension, and whether it is critical."""
    yield x509.BasicConstraints(ca=ca, path_length=None), True
    yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
    yield _key_usage(ca), True
    if not ca:
        yield x509.ExtendedKeyUsage([usage]), False
    if hosts:
        yield x509.SubjectAlternativeName(hosts), False


def _key_usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _digest(signer: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """A digest as strong as the signer's curve (NIST SP 800-57)."""
    if isinstance(signer, ec.EllipticCurvePrivateKey) and signer.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()
