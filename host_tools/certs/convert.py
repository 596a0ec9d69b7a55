"""Convert openssl's PEM files to a device's DER files, and back."""

from pathlib import Path

from .. import ToolError
from ..files import write_files, write_folder
from .certificate_folder import PEM_FILES, device_files
from .chain import CHAIN_LIMIT, tls_size, without_root
from .reading import common_name, load_cert_and_key, load_certs, signed_by


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

    cert        the device's certificate; or its chain, the leaf first
    issuers     files with the rest of the chain, the leaf's issuer first
    passphrase  opens the key, if that is encrypted
    encrypt     encrypt key.pem with the pass-phrase

    A root at the end of the chain is left out, because DPS has it. Raises ToolError.
    """
    device = load_cert_and_key(cert, key, passphrase)
    chain = without_root([one for path in (cert, *issuers) for one in load_certs(path)])
    for lower, upper in zip(chain, chain[1:], strict=False):
        if not signed_by(lower, upper):
            raise ToolError(
                f"{common_name(lower)} is not signed by {common_name(upper)}, which follows it:"
                " give the issuers in their order, the leaf's first"
            )
    if tls_size(chain) > CHAIN_LIMIT:
        raise ToolError(
            f"the chain takes {tls_size(chain)} bytes, and a device can send {CHAIN_LIMIT}: use EC"
            " keys, or fewer intermediates"
        )
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
