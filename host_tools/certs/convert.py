"""Convert openssl's PEM files to a device's DER files, and back."""

from pathlib import Path

from ..files import write_files, write_folder
from .certificate_folder import PEM_FILES, device_files
from .chain import check_size, ordered
from .reading import load_cert_and_key, load_certs


def to_certificate_folder(
    cert: Path,
    key: Path,
    issuers: list[Path],
    out: Path,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make a device's certificate folder from its certificate and key → out.

    cert        the device's certificate or its chain, in any order; or a PKCS#12 file
    key         the device's key; it may be in the same file as the certificate
    issuers     files with the rest of the chain, in any order
    passphrase  opens the key, if that is encrypted
    encrypt     encrypt key.pem with the pass-phrase

    All certificates that are given go into the chain, the root included. Raises ToolError.
    """
    device = load_cert_and_key(cert, key, passphrase)
    others = [one for path in (cert, *issuers) for one in load_certs(path, passphrase)]
    chain = ordered(device.cert, others)
    check_size(chain)
    write_folder(out, device_files(device, chain[1:], passphrase if encrypt else None), force)
    return out


def to_pem(
    folder: Path,
    out: Path,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make PEM files from a folder's key.der and cert.der → out, which may be the same folder.

    encrypt  encrypt key.pem with the pass-phrase
    Raises ToolError.
    """
    device = load_cert_and_key(folder / "cert.der", folder / "key.der")
    issuers = load_certs(folder / "cert.der")[1:]
    files = device_files(device, issuers, passphrase if encrypt else None)
    write_files(out, {name: files[name] for name in PEM_FILES}, force)
    return out
