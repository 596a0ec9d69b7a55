"""Describe a certificate, a chain or a device's folder, in lines of text."""

import datetime
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from .. import ToolError
from .chain import CHAIN_LIMIT, tls_size
from .keys import load_key
from .reading import common_name, extension, is_ca, load_certs, signed_by
from .slots import SLOTS, slot_folder

USAGES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
}
CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384"}

# Where a folder's chain may be. The first of these files is shown.
CHAIN_FILES = ("cert.der", "full-chain.pem", "cert.pem")


def show(path: Path) -> Iterator[str]:
    """Describe a file of certificates, or a folder made by 'microdps certs' or 'microdps config'.

    Yields lines. Raises ToolError.
    """
    if not path.is_dir():
        yield from _chain(path)
        return
    # A device's folder has its slots in identity/. A certificate folder has the next one in b/.
    folders = [path, path / "b", *(slot_folder(path, slot) for slot in SLOTS)]
    chains = [chain for folder in folders if (chain := _chain_file(folder))]
    if not chains:
        raise ToolError(f"{path} has none of {', '.join(CHAIN_FILES)}: name a file")
    for chain in chains:
        yield from _chain(chain)
        yield from _key_beside(chain)


def _chain_file(folder: Path) -> Path | None:
    return next((folder / name for name in CHAIN_FILES if (folder / name).exists()), None)


def _chain(path: Path) -> Iterator[str]:
    certs = load_certs(path)
    yield f"{path}: {len(certs)} certificate{'s' if len(certs) > 1 else ''}"
    for cert, issuer in zip(certs, [*certs[1:], None], strict=True):
        yield from _certificate(cert)
        if issuer:
            yield f"  {'signed' if signed_by(cert, issuer) else 'NOT SIGNED'} by the next one"
        elif signed_by(cert, cert):
            yield "  self-signed"
    yield (
        f"  in TLS: {tls_size(certs)} of the {CHAIN_LIMIT} bytes that a device can send"
        + (": TOO MANY" if tls_size(certs) > CHAIN_LIMIT else "")
    )


def _certificate(cert: x509.Certificate) -> Iterator[str]:
    try:
        kind = key_type(cert)
        usage = extension(cert, x509.ExtendedKeyUsage)
        ca = "yes" if is_ca(cert) else "no"
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ToolError(
            f"the certificate of {common_name(cert)!r} cannot be read, because its key or an"
            " extension is damaged: make a new one"
        ) from error
    uses = ", ".join(USAGES.get(one, one.dotted_string) for one in usage) if usage else "any"
    start, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    yield f"- subject {cert.subject.rfc4514_string()}"
    yield f"  issuer {cert.issuer.rfc4514_string()}"
    yield f"  valid {start:%F %T} to {end:%F %T} UTC, {_validity(start, end)}"
    yield f"  key {kind}, extended key usage {uses}, CA {ca}"
    yield f"  serial {cert.serial_number:x}"
    yield f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}"  # noqa: S303  as Azure's portal
    yield f"  sha256 {cert.fingerprint(hashes.SHA256()).hex()}"


def _validity(start: datetime.datetime, end: datetime.datetime) -> str:
    now = datetime.datetime.now(datetime.UTC)
    if end < now:
        return "EXPIRED"
    if start > now:
        return "NOT VALID YET"
    return f"{(end - now).days} days left"


def key_type(cert: x509.Certificate) -> str:
    """The key's type, as --key names it. Raises ValueError, UnsupportedAlgorithm."""
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return CURVES.get(key.curve.name, key.curve.name)
    return type(key).__name__


def _key_beside(chain: Path) -> Iterator[str]:
    """Does the key.der in the same folder belong to the chain?"""
    key = chain.with_name("key.der")
    if key.exists():
        belongs = load_key(key).public_key() == load_certs(chain)[0].public_key()
        yield f"  {key} {'belongs' if belongs else 'DOES NOT BELONG'} to it"
