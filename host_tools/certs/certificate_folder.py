"""A device's certificate folder: make its key and certificate, and write both as PEM and DER."""

from pathlib import Path

from cryptography import x509

from .. import ToolError
from ..files import write_folder
from .ca import intermediate_ca
from .chain import ordered
from .encoding import der, key_der, key_pem, pem
from .making import CertAndKey, issue
from .reading import load_certs
from .registration_id import check_folder_name

PEM_FILES = ("key.pem", "cert.pem", "full-chain.pem")
DER_FILES = ("key.der", "cert.der")
FILES = (*PEM_FILES, *DER_FILES)


def device_files(
    device: CertAndKey, issuers: list[x509.Certificate], passphrase: bytes | None = None
) -> dict[str, bytes]:
    """The contents of a device's certificate folder.

    issuers     the rest of its chain
    passphrase  encrypts key.pem; key.der is never encrypted, since MicroPython reads no such key
    """
    leaf = pem(device.cert)
    return {
        "key.pem": key_pem(device.key, passphrase),
        "cert.pem": leaf,
        "full-chain.pem": leaf + pem(*issuers),
        "key.der": key_der(device.key),
        "cert.der": der(device.cert, *issuers),
    }


def make_self_signed(
    name: str,
    out: Path,
    key_type: str,
    days: float,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make a self-signed device certificate in the folder out/name → that folder.

    passphrase  encrypts key.pem if encrypt is set
    Raises ToolError.
    """
    folder = _check_new(name, out, force)
    device = issue(name, key_type=key_type, days=days)
    write_folder(folder, device_files(device, [], passphrase if encrypt else None), force)
    return folder


def make_chain(
    name: str,
    out: Path,
    key_type: str,
    days: float,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
    with_root: bool = False,
) -> Path:
    """Make a device certificate in the folder out/name, signed by the intermediate in out.

    The root and the intermediate are made if they are missing.

    passphrase  opens the intermediate's key, if that is encrypted
    encrypt     encrypt all new keys in PEM with the pass-phrase
    with_root   the device's chain ends with the root; otherwise with the intermediate
    Returns the folder out/name. Raises ToolError.
    """
    folder = _check_new(name, out, force)
    issuer = intermediate_ca(out, key_type, passphrase, encrypt)
    issuers = issuer_chain(issuer.cert, out, with_root)
    device = issue(name, issuer, key_type=key_type, days=days)
    files = device_files(device, issuers, passphrase if encrypt else None)
    write_folder(folder, files, force)
    return folder


def issuer_chain(intermediate: x509.Certificate, out: Path, with_root: bool) -> list:
    """The issuers in a device's chain. Raises ToolError if out has not the root that is wanted."""
    if not with_root:
        return [intermediate]
    return ordered(intermediate, load_certs(out / "root.cert.pem"))


def _check_new(name: str, out: Path, force: bool) -> Path:
    """The folder out/name. Raises ToolError if the name is wrong or the folder exists."""
    folder = out / check_folder_name(name)
    if folder.exists() and not force:
        raise ToolError(f"{folder} already exists: give --force to replace it")
    return folder
