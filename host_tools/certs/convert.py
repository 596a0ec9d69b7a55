"""Between openssl's PEM files and a device's DER files, and from one certificate to the next."""

import datetime
from pathlib import Path

from microdps.identity import _CHAIN as CHAIN_LIMIT

from .. import ToolError
from .keys import key_like, load_key
from .making import (
    BACKDATE,
    check_in_force,
    checked,
    common_name,
    device_files,
    issue,
    load_certs,
    load_pair,
    signed_by,
    write_folder,
    write_new,
)
from .show import sent, size

# What convert() writes of a device's DER files.
PEM_FILES = ("key.pem", "cert.pem", "full-chain.pem")


def to_device(
    cert: Path,
    key: Path,
    issuers: list[Path],
    out: Path,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make a device's folder of its certificate, or its chain with the leaf first, and its key.

    issuers     files with the rest of the chain, the leaf's issuer first
    passphrase  opens the key, if that is encrypted
    encrypt     key.pem, by the pass-phrase

    A root at the end of the chain is left out: DPS has it. Returns out. Raises ToolError.
    """
    pair = load_pair(cert, key, passphrase)
    chain = sent([one for path in (cert, *issuers) for one in load_certs(path)])
    for lower, upper in zip(chain, chain[1:], strict=False):
        if not signed_by(lower, upper):
            raise ToolError(
                f"{common_name(lower)} is not signed by {common_name(upper)}, which follows it:"
                " give the issuers in their order, the leaf's first"
            )
    if size(chain) > CHAIN_LIMIT:
        raise ToolError(
            f"the chain takes {size(chain)} bytes, and a device can send {CHAIN_LIMIT}: use EC"
            " keys, or fewer intermediates"
        )
    write_folder(out, device_files(pair, chain[1:], passphrase if encrypt else None), force)
    return out


def to_pem(
    folder: Path,
    out: Path,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make PEM files of a device's key.der and cert.der → out, which may be that folder.

    encrypt  key.pem, by the pass-phrase
    Raises ToolError.
    """
    pair = load_pair(folder / "cert.der", folder / "key.der")
    issuers = load_certs(folder / "cert.der")[1:]
    files = device_files(pair, issuers, passphrase if encrypt else None)
    write_new(out, {name: files[name] for name in PEM_FILES}, force)
    return out


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
    """Make the certificate that follows a device's newest → its folder, and the slot it is for.

    folder    of the device: it holds the identity of slot a, and b/ in it that of slot b; the
              older of the two makes room, if force is given
    keep_key  the key goes on; else there is a new one of the same type

    Who signed itself does so again; else the issuer signs, who has signed the one before. It
    begins later than that: a board knows it by this (firmware/microdps/rollover.py).
    Raises ToolError.
    """
    chains = {
        slot: load_certs(place / "cert.der")
        for slot, place in (("a", folder), ("b", folder / "b"))
        if slot == "a" or place.exists()
    }
    newest = max(chains, key=lambda slot: chains[slot][0].not_valid_before_utc)
    old, *issuers = chains[newest]
    issuer = None
    if not signed_by(old, old):
        issuer = load_pair(issuer_cert, issuer_key, passphrase)
        if not signed_by(old, issuer.cert):
            raise ToolError(
                f"{issuer_cert} has not signed {common_name(old)!r}: name the issuer that has,"
                " with --issuer-cert and --issuer-key"
            )
        check_in_force(issuer.cert)
    place = folder / "b" if newest == "b" else folder
    slot, target = ("b", folder / "b") if newest == "a" else ("a", folder)
    now = datetime.datetime.now(datetime.UTC) - BACKDATE
    pair = issue(
        checked(common_name(old)),
        issuer,
        key=load_key(place / "key.der") if keep_key else key_like(old),
        days=days,
        start=max(now, old.not_valid_before_utc + datetime.timedelta(seconds=1)),
    )
    write_folder(target, device_files(pair, issuers, passphrase if encrypt else None), force)
    return target, slot
