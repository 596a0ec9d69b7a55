"""The test CA, a root and an intermediate, and the proof of possession for DPS."""

import datetime
from pathlib import Path

from cryptography import x509

from .. import ToolError
from ..files import write_files
from .encoding import pem_files
from .making import CA_DAYS, CertAndKey, issue
from .reading import common_name, is_ca, load_cert_and_key, signed_by
from .registration_id import COMMON_NAME_LIMIT

PROOF_DAYS = 2  # DPS checks a proof of possession at once


def intermediate_ca(
    out: Path, key_type: str, passphrase: bytes | None = None, encrypt: bool = False
) -> CertAndKey:
    """The intermediate in a folder, which signs device certificates.

    It and the root are made if they are missing. They are never replaced, because other devices
    depend on them. The root may be kept elsewhere: only the intermediate is needed to sign.

    passphrase  opens the keys, if they are encrypted
    encrypt     encrypt new keys with the pass-phrase
    Raises ToolError if a part is missing, or the root did not sign the intermediate.
    """
    secret = passphrase if encrypt else None
    root = None
    if any(out.glob("root.*.pem")) or not any(out.glob("intermediate.*.pem")):
        root = _load_or_make(out, "root", None, key_type, passphrase, secret)
    intermediate = _load_or_make(out, "intermediate", root, key_type, passphrase, secret)
    if root and not signed_by(intermediate.cert, root.cert):
        raise ToolError(
            f"the root in {out} did not sign the intermediate: put the right root there, or remove"
            " both"
        )
    check_not_expired(intermediate.cert)
    return intermediate


def _load_or_make(
    out: Path,
    stem: str,
    issuer: CertAndKey | None,
    key_type: str,
    passphrase: bytes | None,
    secret: bytes | None,
) -> CertAndKey:
    """The CA of that name in out. secret: encrypts the key of a new one."""
    cert, key = out / f"{stem}.cert.pem", out / f"{stem}.key.pem"
    if cert.exists() or key.exists():
        return load_cert_and_key(cert, key, passphrase)
    made = issue(f"microdps test {stem}", issuer, key_type=key_type, days=CA_DAYS, ca=True)
    write_files(out, pem_files(stem, made, secret))
    return made


def check_not_expired(issuer: x509.Certificate) -> None:
    """Raises ToolError if a CA certificate has expired: DPS refuses every device below it."""
    if issuer.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ToolError(
            f"the certificate of {common_name(issuer)!r} expired on"
            f" {issuer.not_valid_after_utc:%F}, so DPS refuses every certificate that it signs:"
            " make a new CA in a new folder, and enroll it"
        )


def proof_of_possession(code: str, ca: CertAndKey) -> x509.Certificate:
    """The certificate that proves to DPS that we have the key of a CA certificate.

    code  the verification code from DPS; it becomes the common name

    The proof's own key is not needed afterwards.
    Raises ToolError if the code is invalid, or if the certificate is not a CA certificate.
    Source: "Verify X.509 CA certificates with DPS" (Azure documentation).
    """
    if not (code.isascii() and code.isalnum()) or len(code) > COMMON_NAME_LIMIT:
        raise ToolError(f"{code!r} is not a verification code: copy the whole code from DPS")
    if not is_ca(ca.cert):
        raise ToolError(
            f"{common_name(ca.cert)} is not a CA certificate: use the one that DPS asks about"
        )
    return issue(code, ca, days=PROOF_DAYS).cert
