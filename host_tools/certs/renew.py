"""Make the certificate that follows a device's current one, for the device's other slot."""

import datetime
from pathlib import Path

from cryptography import x509

from .. import ToolError
from ..files import write_folder
from .ca import check_not_expired
from .certificate_folder import device_files
from .keys import load_key, new_key_like
from .making import BACKDATE, CertAndKey, issue
from .reading import common_name, load_cert_and_key, load_certs, signed_by
from .registration_id import check_registration_id


def renew(
    folder: Path,
    issuer_cert: Path,
    issuer_key: Path,
    days: float,
    keep_key: bool,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> tuple[Path, str]:
    """Make the next certificate of a device → its folder, and the slot that it is for.

    folder    the device's certificate folder; it holds the identity of slot a, and its subfolder b
              holds that of slot b. The new certificate replaces the older of the two, if force is
              given
    keep_key  use the same key again; otherwise make a new one of the same type

    A self-signed certificate is followed by a self-signed one. Otherwise the issuer must be the
    one that signed the last certificate. The new certificate begins later than the last one: by
    this the device knows that it is newer (firmware/microdps/rollover.py).
    Raises ToolError.
    """
    folders = {"a": folder, "b": folder / "b"}
    current, (cert, *issuers) = _current(folders)
    issuer = _issuer_of(cert, issuer_cert, issuer_key, passphrase)
    now = datetime.datetime.now(datetime.UTC) - BACKDATE
    device = issue(
        check_registration_id(common_name(cert)),
        issuer,
        key=load_key(folders[current] / "key.der") if keep_key else new_key_like(cert),
        days=days,
        start=max(now, cert.not_valid_before_utc + datetime.timedelta(seconds=1)),
    )
    slot = "b" if current == "a" else "a"
    files = device_files(device, issuers, passphrase if encrypt else None)
    write_folder(folders[slot], files, force)
    return folders[slot], slot


def _current(folders: dict[str, Path]) -> tuple[str, list[x509.Certificate]]:
    """The slot with the newest certificate, and its chain. Raises ToolError."""
    chains = {
        slot: load_certs(folder / "cert.der")
        for slot, folder in folders.items()
        if slot == "a" or folder.exists()
    }
    return max(chains.items(), key=lambda item: item[1][0].not_valid_before_utc)


def _issuer_of(
    cert: x509.Certificate, issuer_cert: Path, issuer_key: Path, passphrase: bytes | None
) -> CertAndKey | None:
    """The issuer of a device certificate; None if it is self-signed. Raises ToolError."""
    if signed_by(cert, cert):
        return None
    issuer = load_cert_and_key(issuer_cert, issuer_key, passphrase)
    if not signed_by(cert, issuer.cert):
        raise ToolError(
            f"{issuer_cert} did not sign {common_name(cert)!r}: name the issuer that did, with"
            " --issuer-cert and --issuer-key"
        )
    check_not_expired(issuer.cert)
    return issuer
