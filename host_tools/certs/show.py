"""What is in a certificate, a chain or a device's folder, in lines of text."""

import datetime
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from microdps.identity import _CHAIN as CHAIN_LIMIT

from .. import ToolError
from ..device.config import SLOTS, slot_folder
from .keys import load_key
from .making import common_name, der, extension, load_certs, signed_by

USAGES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
}
CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384"}

# What a device's folder has its chain in; the first of them is shown.
CHAINS = ("cert.der", "full-chain.pem", "cert.pem")


def show(path: Path) -> Iterator[str]:
    """Describe a file of certificates, PEM or DER, or a folder as 'microdps certs' or 'microdps
    config' makes it → lines. Raises ToolError."""
    if not path.is_dir():
        yield from _chain(path)
        return
    # A device's folder has its slots in identity/; one of 'microdps certs' has what follows in b/.
    folders = [path, path / "b", *(slot_folder(path, slot) for slot in SLOTS)]
    found = [next((f / name for name in CHAINS if (f / name).exists()), None) for f in folders]
    if not any(found):
        raise ToolError(f"{path} has none of {', '.join(CHAINS)}: name a file")
    for file in found:
        if file:
            yield from _chain(file)
            yield from _key(file)


def size(certs: list[x509.Certificate]) -> int:
    """Bytes of a chain in TLS's Certificate message (RFC 5246, 7.4.2), headers included."""
    return 7 + sum(len(der(cert)) + 3 for cert in certs)


def sent(certs: list[x509.Certificate]) -> list[x509.Certificate]:
    """What a device sends of a chain: all but a root at its end."""
    return certs[:-1] if len(certs) > 1 and signed_by(certs[-1], certs[-1]) else certs


def _chain(path: Path) -> Iterator[str]:
    certs = load_certs(path)
    yield f"{path}: {len(certs)} certificate{'s' if len(certs) > 1 else ''}"
    for cert, issuer in zip(certs, [*certs[1:], None], strict=True):
        yield from _certificate(cert)
        if issuer:
            yield f"  {'signed' if signed_by(cert, issuer) else 'NOT SIGNED'} by the next one"
        elif signed_by(cert, cert):
            yield "  signed by itself"
    chain = sent(certs)
    yield (
        f"  in TLS: {size(chain)} of the {CHAIN_LIMIT} bytes that a device can send"
        + (", without the root" if len(chain) < len(certs) else "")
        + (": TOO MANY" if size(chain) > CHAIN_LIMIT else "")
    )


def _certificate(cert: x509.Certificate) -> Iterator[str]:
    try:
        kind = key_type(cert)
        usage = extension(cert, x509.ExtendedKeyUsage)
        constraints = extension(cert, x509.BasicConstraints)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ToolError(
            f"the certificate of {common_name(cert)!r} cannot be read ({error}): make it anew"
        ) from error
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    now = datetime.datetime.now(datetime.UTC)
    left = f"{(end - now).days} days left"
    if end < now:
        left = "EXPIRED"
    elif begin > now:
        left = "NOT VALID YET"
    uses = ", ".join(USAGES.get(one, one.dotted_string) for one in usage) if usage else "any"
    yield f"- subject {cert.subject.rfc4514_string()}"
    yield f"  issuer {cert.issuer.rfc4514_string()}"
    yield f"  valid {begin:%F %T} to {end:%F %T} UTC, {left}"
    yield f"  key {kind}, extended key usage {uses}, CA {'yes' if is_ca(constraints) else 'no'}"
    yield f"  serial {cert.serial_number:x}"
    yield f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}"  # noqa: S303  as Azure's portal
    yield f"  sha256 {cert.fingerprint(hashes.SHA256()).hex()}"


def is_ca(constraints: x509.BasicConstraints | None) -> bool:
    return constraints is not None and constraints.ca


def key_type(cert: x509.Certificate) -> str:
    """As --key names it, where it does. Raises ValueError, UnsupportedAlgorithm."""
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return CURVES.get(key.curve.name, key.curve.name)
    return type(key).__name__


def _key(path: Path) -> Iterator[str]:
    """Does the key beside a chain belong to it? key.der, which is never encrypted."""
    key = path.with_name("key.der")
    if key.exists():
        own = load_key(key).public_key() == load_certs(path)[0].public_key()
        yield f"  {key} {'belongs' if own else 'DOES NOT BELONG'} to it"
