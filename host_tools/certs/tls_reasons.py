"""Why Mbed TLS, the TLS of MicroPython, refuses a certificate that OpenSSL takes.

Source: Mbed TLS, library/x509_crt.c and library/pkparse.c.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, PublicKeyAlgorithmOID, SignatureAlgorithmOID

from microdps.errors import IdentityError
from microdps.identity import element

from .encoding import der

# The extensions that Mbed TLS knows. It refuses any other one that is critical.
KNOWN_EXTENSIONS = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.EXTENDED_KEY_USAGE,
    x509.ObjectIdentifier("2.16.840.1.113730.1.1"),  # nsCertType
}

# The content of an id-ecPublicKey OID (RFC 5480, 2.1.1).
EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
OID_TAG = 0x06


def refusal_reasons(cert: x509.Certificate) -> list[str]:
    """What Mbed TLS does not take in a certificate, as far as it is known. Empty: nothing is."""
    return [*_extensions(cert), *_algorithms(cert)]


def _extensions(cert: x509.Certificate) -> Iterator[str]:
    try:
        extensions = list(cert.extensions)
    except ValueError:
        yield "an extension cannot be read"
        return
    for one in extensions:
        if one.critical and one.oid not in KNOWN_EXTENSIONS:
            name = getattr(one.oid, "_name", "")
            oid = one.oid.dotted_string
            words = oid if name in ("", "Unknown OID") else f"{name} ({oid})"
            yield f"the extension {words} is critical, and unknown to it"


def _algorithms(cert: x509.Certificate) -> Iterator[str]:
    if cert.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        yield "the signature's algorithm is RSA-PSS (RSASSA-PSS): sign with RSA PKCS#1 v1.5"
    elif cert.signature_algorithm_oid in (
        SignatureAlgorithmOID.ED25519,
        SignatureAlgorithmOID.ED448,
    ):
        yield "the signature's algorithm is EdDSA: sign with ECDSA or RSA"
    if cert.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        yield "the key is for RSA-PSS alone: make an EC P-256 or plain RSA key"
    if has_explicit_parameters(der(cert)):
        yield "the key has explicit EC parameters: make it with a named curve"
        return
    try:
        key = cert.public_key()
    except (ValueError, UnsupportedAlgorithm):
        yield "the key's algorithm or curve is unknown to it: make an EC P-256 or RSA key"
        return
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in ("secp256r1", "secp384r1"):
            yield f"the key's curve is {key.curve.name}: make an EC P-256 key"
    elif not isinstance(key, rsa.RSAPublicKey):
        yield "the key is neither RSA nor EC: make an EC P-256 key"


def has_explicit_parameters(data: bytes) -> bool:
    """Has an EC key in DER explicit parameters? data: a certificate, or a key in PKCS#8."""
    at = data.find(EC_PUBLIC_KEY)
    if at < 0:
        return False
    at += len(EC_PUBLIC_KEY)
    try:
        element(data, at, "")
    except IdentityError:
        return False  # the OID of a named curve
    return True
