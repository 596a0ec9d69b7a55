"""Certificates as clients of DPS's service API send them, and as DPS describes them."""

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ..tls import thumbprint


def read_certificate(text: str) -> x509.Certificate:
    """Read a certificate: PEM, base64 of PEM, or base64 of DER. Raises ValueError."""
    data = text.encode()
    if b"-----BEGIN" not in data:
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError("neither PEM nor base64") from error
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def certificate_info(cert: x509.Certificate) -> dict:
    """A certificate's X509CertificateInfo, as the service API has it."""
    return {
        "subjectName": cert.subject.rfc4514_string(),
        "sha1Thumbprint": cert.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
        "sha256Thumbprint": thumbprint(cert),
        "issuerName": cert.issuer.rfc4514_string(),
        "notBeforeUtc": f"{cert.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfterUtc": f"{cert.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "serialNumber": f"{cert.serial_number:X}",
        "version": cert.version.value + 1,
    }
