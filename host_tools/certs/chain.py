"""The certificate chain that a device sends: which certificates, and how many bytes."""

from cryptography import x509

from microdps.identity import _CHAIN as CHAIN_LIMIT

from .encoding import der
from .reading import signed_by

__all__ = ["CHAIN_LIMIT", "tls_size", "without_root"]


def without_root(certs: list[x509.Certificate]) -> list[x509.Certificate]:
    """A chain without the root at its end: a device does not send the root.

    A single certificate stays, even if it is self-signed.
    """
    return certs[:-1] if len(certs) > 1 and signed_by(certs[-1], certs[-1]) else certs


def tls_size(certs: list[x509.Certificate]) -> int:
    """Bytes of a chain in TLS's Certificate message (RFC 5246, 7.4.2), headers included.

    A device can send CHAIN_LIMIT bytes.
    """
    return 7 + sum(len(der(cert)) + 3 for cert in certs)
