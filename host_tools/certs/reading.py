"""Read certificates from files, and find out what a certificate says."""

import io
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from microdps.errors import IdentityError
from microdps.identity import split

from .. import ToolError
from .keys import load_key
from .making import CertAndKey


def load_certs(path: Path) -> list[x509.Certificate]:
    """Read all certificates of a file: PEM, or DER one after the other as in cert.der.

    Raises ToolError if the file cannot be read or has no certificate.
    """
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        certs = split(io.BytesIO(data), str(path))
        return [x509.load_der_x509_certificate(cert) for cert in certs]
    except (OSError, ValueError, IdentityError) as error:
        raise ToolError(f"cannot read a certificate from {path}: {error}") from error


def load_cert_and_key(cert: Path, key: Path, passphrase: bytes | None = None) -> CertAndKey:
    """Read a certificate and its key. Raises ToolError if one is missing or they do not match."""
    private = load_key(key, passphrase)
    leaf = load_certs(cert)[0]
    if leaf.public_key() != private.public_key():
        raise ToolError(f"{key} is not the key of {cert}: use a key and a certificate that match")
    return CertAndKey(leaf, private)


def common_name(cert: x509.Certificate) -> str:
    """The subject's common name; "" if it has none."""
    names = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def extension(cert: x509.Certificate, kind):
    """The value of an extension; None if there is none. Raises ValueError if it is unreadable."""
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_ca(cert: x509.Certificate) -> bool:
    """Is it a CA certificate? Raises ValueError as extension() does."""
    constraints = extension(cert, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def allows_client_auth(cert: x509.Certificate) -> bool:
    """May a TLS client use it? True if it has no extended key usage, or one with clientAuth.

    Raises ValueError as extension() does.
    """
    usage = extension(cert, x509.ExtendedKeyUsage)
    return usage is None or ExtendedKeyUsageOID.CLIENT_AUTH in usage


def signed_by(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Is the issuer's name in the certificate, and does its key verify the signature?"""
    try:
        cert.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
