"""The chain that a device sends: which certificates, in which order, how many bytes."""

from cryptography import x509

from microdps.identity import _CHAIN as CHAIN_LIMIT

from .. import ToolError
from .encoding import der
from .reading import signed_by
from .rules import name_of

__all__ = ["CHAIN_LIMIT", "check_size", "ordered", "tls_size"]


def ordered(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """The chain from a leaf up to its last issuer, root included.

    others  in any order; the leaf may be among them, and a certificate may come twice
    Raises ToolError if one of them does not belong to the chain.
    """
    chain = [leaf]
    left = [cert for cert in dict.fromkeys(others) if cert != leaf]
    while left:
        issuer = next((cert for cert in left if signed_by(chain[-1], cert)), None)
        if issuer is None:
            raise ToolError(
                f"{name_of(chain[-1])} is not signed by {name_of(left[0])}: give the certificates"
                " of its own issuers, and leave out all others"
            )
        chain.append(issuer)
        left.remove(issuer)
    return chain


def check_size(chain: list[x509.Certificate]) -> None:
    """Raises ToolError if a device cannot send a chain."""
    if tls_size(chain) > CHAIN_LIMIT:
        raise ToolError(
            f"the chain takes {tls_size(chain)} bytes, and a device can send {CHAIN_LIMIT}: use EC"
            " keys, or fewer intermediates, or leave out the root"
        )


def tls_size(certs: list[x509.Certificate]) -> int:
    """Bytes of a chain in TLS's Certificate message (RFC 5246, 7.4.2), headers included.

    A device can send CHAIN_LIMIT bytes.
    """
    return 7 + sum(len(der(cert)) + 3 for cert in certs)
