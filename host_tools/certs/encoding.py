"""Encode certificates and keys: PEM for people and Azure, DER for the device."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from .keys import PrivateKey
from .making import CertAndKey


def pem(*certs: x509.Certificate) -> bytes:
    return b"".join(cert.public_bytes(Encoding.PEM) for cert in certs)


def der(*certs: x509.Certificate) -> bytes:
    """The certificates one after the other, as in the device's cert.der."""
    return b"".join(cert.public_bytes(Encoding.DER) for cert in certs)


def key_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """The key as PKCS#8, which openssl reads; encrypted if there is a pass-phrase."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def key_der(key: PrivateKey) -> bytes:
    """The key as the device reads it: SEC1 for EC, PKCS#1 for RSA."""
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def pem_files(stem: str, pair: CertAndKey, passphrase: bytes | None = None) -> dict[str, bytes]:
    """STEM.key.pem and STEM.cert.pem: name → content. passphrase: encrypts the key."""
    return {
        f"{stem}.key.pem": key_pem(pair.key, passphrase),
        f"{stem}.cert.pem": pem(pair.cert),
    }
