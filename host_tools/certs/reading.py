"""Read certificates from files, and find out what a certificate says."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .. import ToolError
from .blocks import CERTIFICATE, CUT_OFF, KEY_LABELS, read_blocks
from .keys import load_key, read_passphrase
from .kinds import wrong_kind
from .making import CertAndKey


def load_certs(path: Path, passphrase: bytes | None = None) -> list[x509.Certificate]:
    """Read all certificates of a file, in any form that blocks.py finds.

    passphrase  opens a PKCS#12 file; None: the one in the environment
    Raises ToolError if the file cannot be read, or has no certificate or a damaged one.
    """
    try:
        blocks = read_blocks(path, lambda: passphrase or read_passphrase(None))
    except OSError as error:
        raise ToolError(
            f"cannot read a certificate from {path}: {error.strerror}: check the file's name"
        ) from error
    found = [block.content for block in blocks if block.label == CERTIFICATE]
    broken = [block for block in blocks if block.label == CUT_OFF]
    if broken or not found:
        why = wrong_kind(path, (broken or blocks)[0])
        raise ToolError(f"cannot read a certificate from {path}: {why}")
    try:
        return [x509.load_der_x509_certificate(der) for der in found]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ToolError(
            f"cannot read a certificate from {path}: one of them is damaged: copy the file again,"
            " or make a new certificate"
        ) from error


def has_key(path: Path, passphrase: bytes | None) -> bool:
    """Does a file have a private key? passphrase: opens a PKCS#12 file. Raises ToolError."""
    try:
        blocks = read_blocks(path, lambda: passphrase)
    except OSError:
        return False
    return any(block.label in KEY_LABELS for block in blocks)


def load_cert_and_key(cert: Path, key: Path, passphrase: bytes | None = None) -> CertAndKey:
    """Read a certificate and its key. Raises ToolError if one is missing or they do not match.

    cert  may have more certificates: the one that belongs to the key is taken
    """
    private = load_key(key, passphrase)
    public = private.public_key()
    for one in load_certs(cert, passphrase):
        if public_key(one) == public:
            return CertAndKey(one, private)
    raise ToolError(f"{key} is not the key of {cert}: use a key and a certificate that match")


def public_key(cert: x509.Certificate):
    """A certificate's public key; None if its kind is unknown."""
    try:
        return cert.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


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
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
