"""microdps certs: make, show, convert and renew certificates."""

import argparse
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from host_tools import ToolError, batch
from host_tools.certs import (
    BACKDATE,
    CA_DAYS,
    DEVICE_DAYS,
    KEY_TYPES,
    LEAST_DAYS,
    PASSPHRASE,
    Pair,
    chain,
    common_name,
    der,
    device_files,
    extension,
    issue,
    load_certs,
    load_key,
    load_pair,
    pem,
    read_passphrase,
    self_signed,
    signed_by,
    write_new,
)
from microdps import identity

# The most that a device sends of its chain, in bytes.
LIMIT = identity._CHAIN

# A proof of possession is looked at once.
PROOF_DAYS = 2

USAGES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
}

# What a device's folder has its chain in.
CHAINS = ("full-chain.pem", "cert.der", "cert.pem")


def show(path: Path) -> str:
    """What a file of certificates, or a device's folder, has in it. Raises ToolError."""
    if path.is_dir():
        found = [path / name for name in CHAINS if (path / name).exists()]
        if not found:
            raise ToolError(f"{path} has none of {', '.join(CHAINS)}: name a file")
        path = found[0]
    certs = load_certs(path)
    lines = []
    for at, cert in enumerate(certs):
        lines += _describe(cert)
        if at + 1 < len(certs):
            signed = "" if signed_by(cert, certs[at + 1]) else "NOT "
            lines.append(f"  {signed}signed by the next one")
    size = 7 + sum(len(der(cert)) + 3 for cert in certs)
    fits = "fits" if size <= LIMIT else "DOES NOT FIT"
    lines.append(f"{path}: {len(certs)} certificates, {size} of {LIMIT} bytes: {fits} a board")
    return "\n".join(lines)


def _describe(cert: x509.Certificate) -> list[str]:
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA {key.key_size}"
    else:
        kind = (
            f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else "other key"
        )
    try:
        usage = extension(cert, x509.ExtendedKeyUsage)
        constraints = extension(cert, x509.BasicConstraints)
    except ValueError as error:
        name = common_name(cert)
        raise ToolError(
            f"the extensions of {name} cannot be read: make it anew ({error})"
        ) from error
    uses = ", ".join(USAGES.get(one, one.dotted_string) for one in usage) if usage else "any"
    left = (cert.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days
    return [
        f"{cert.subject.rfc4514_string()}, issued by {cert.issuer.rfc4514_string()}",
        f"  valid {cert.not_valid_before_utc:%F} to {cert.not_valid_after_utc:%F}"
        + (f", {left} days left" if left >= 0 else ", EXPIRED"),
        f"  {kind}, {'a CA' if constraints and constraints.ca else f'for {uses}'}, serial"
        f" {cert.serial_number:x}",
        f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}",  # noqa: S303  as Azure's portal shows
        f"  sha256 {cert.fingerprint(hashes.SHA256()).hex()}",
    ]


def convert(
    cert: Path, key: Path, issuers: list[Path], out: Path, force: bool, passphrase: bytes | None
) -> Path:
    """Make a device's folder, DER and PEM, of a certificate or a chain and its key → out.

    issuers  files with what is not in the first one
    A root at the end of the chain is left out: DPS knows it. Raises ToolError.
    """
    pair = load_pair(cert, key, passphrase)
    above = [one for path in (cert, *issuers) for one in load_certs(path)][1:]
    for lower, upper in zip([pair.cert, *above], above, strict=False):
        if not signed_by(lower, upper):
            raise ToolError(
                f"{common_name(lower)} is not signed by {common_name(upper)}: give the issuers in"
                " their order, the leaf's first"
            )
    if above and signed_by(above[-1], above[-1]):
        above.pop()
    write_new(out, device_files(pair, above), force)
    return out


def prove(
    code: str, cert: Path, key: Path, out: Path, force: bool, passphrase: bytes | None
) -> None:
    """Write the certificate that proves to DPS that the CA's key is ours: for the verification
    code, signed by that key. Its own key is not needed. Raises ToolError."""
    if not code.isalnum() or len(code) > 64:
        raise ToolError(f"{code!r} is no verification code: copy it from the portal")
    authority = load_pair(cert, key, passphrase)
    proof = issue(code, authority, days=PROOF_DAYS)
    write_new(out.parent, {out.name: pem(proof.cert)}, force)


def renew(
    folder: Path,
    issuers: Path,
    days: float,
    keep_key: bool,
    force: bool,
    passphrase: bytes | None,
) -> Path:
    """Make the certificate that follows a device's first, in folder/b → that folder.

    issuers   folder with the intermediate, for a device that was signed by one
    keep_key  the old key goes on
    It begins later than the first one, by which a board knows it (firmware/microdps/rollover.py).
    Raises ToolError.
    """
    old = load_certs(folder / "cert.pem")[0]
    name = common_name(old)
    key = load_key(folder / "key.pem", passphrase) if keep_key else None
    issuer: Pair | None = None
    if not signed_by(old, old):
        issuer = load_pair(
            issuers / "intermediate.cert.pem", issuers / "intermediate.key.pem", passphrase
        )
        if not signed_by(old, issuer.cert):
            raise ToolError(
                f"the intermediate in {issuers} has not signed {folder / 'cert.pem'}: name the"
                " folder of the one that has, with --out"
            )
    later = old.not_valid_before_utc + datetime.timedelta(seconds=1)
    start = max(later, datetime.datetime.now(datetime.UTC) - BACKDATE)
    public = key or load_key(folder / "key.pem", passphrase)
    pair = issue(name, issuer, key=key, key_type=_type(public), days=days, start=start)
    write_new(folder / "b", device_files(pair, [issuer.cert] if issuer else []), force)
    return folder / "b"


def _type(key) -> str:
    """The key type of a key, as --key names it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return f"rsa-{4096 if key.key_size > 2048 else 2048}"
    return "ec-p384" if key.key_size > 256 else "ec-p256"


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "certs",
        help="make, show, convert and renew certificates",
        description=__doc__,
        epilog="example: microdps certs chain device-01 --out certs",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, function, text, scenario in (
        ("self-signed", self_signed, "a certificate that signs itself", "individual enrollment"),
        ("chain", chain, "a root, an intermediate and a device certificate", "enrollment group"),
    ):
        kind = _kind(kinds, name, f"{text}, for an {scenario}", "Make", "device-01 --out certs")
        kind.add_argument("registration_id", help="becomes the certificate's common name")
        _add_making(kind)
        kind.add_argument("--force", action="store_true", help="replace the device's files")
        kind.set_defaults(function=_make, make=function)
    text = "certificates for the devices of a CSV file"
    kind = _kind(kinds, "batch", text, "Make", "devices.csv")
    kind.add_argument("csv", type=Path, help=f"with a column {batch.COLUMN}")
    _add_making(kind)
    kind.set_defaults(function=_batch)
    kind = _kind(kinds, "show", "what is in a certificate", "Show", "certs/device-01")
    kind.add_argument("path", type=Path, nargs="+", help="PEM or DER file, or a device's folder")
    kind.set_defaults(function=_show)
    kind = _kind(
        kinds,
        "convert",
        "openssl's PEM into a device's files, or those back",
        "Convert",
        "device-01-full-chain.cert.pem --key device-01.key.pem --out certs/device-01",
    )
    kind.add_argument("cert", type=Path, help="the device's certificate, or its chain")
    kind.add_argument("--key", type=Path, required=True, help="its private key")
    kind.add_argument(
        "--issuer", type=Path, action="append", default=[], help="what the chain lacks, in order"
    )
    kind.add_argument("--out", type=Path, required=True, help="folder")
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the files")
    kind.set_defaults(function=_convert)
    kind = _kind(
        kinds,
        "prove",
        "the certificate that proves possession of a CA's key to DPS",
        "Make",
        "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288",
    )
    kind.add_argument("code", help="DPS's verification code")
    for part in ("cert", "key"):
        default = Path(f"certs/root.{part}.pem")
        kind.add_argument(f"--{part}", type=Path, default=default, help="CA's (%(default)s)")
    kind.add_argument("--out", type=Path, default=Path("proof.cert.pem"), help="(%(default)s)")
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the file")
    kind.set_defaults(function=_prove)
    kind = _kind(kinds, "renew", "the certificate for a device's other slot", "Make", "device-01")
    kind.add_argument("registration_id", help="whose folder is in --out")
    kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
    kind.add_argument("--keep-key", action="store_true", help="the old key goes on")
    _add_days(kind)
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the files")
    kind.set_defaults(function=_renew)


def _kind(kinds, name: str, text: str, what: str, example: str) -> argparse.ArgumentParser:
    return kinds.add_parser(
        name,
        help=text,
        description=f"{what} {text}.",
        epilog=f"example: microdps certs {name} {example}",
    )


def _add_making(kind) -> None:
    kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
    kind.add_argument("--key", choices=KEY_TYPES, default="ec-p256", help="key type (%(default)s)")
    _add_days(kind)
    _add_passphrase(kind)
    kind.add_argument(
        "--encrypt",
        action="store_true",
        help="keys in PEM, by the pass-phrase; key.der never is, for the device reads none such",
    )


def _add_days(kind) -> None:
    kind.add_argument(
        "--days", type=_days, default=DEVICE_DAYS, help="validity in days (%(default)s)"
    )


def _add_passphrase(kind) -> None:
    kind.add_argument(
        "--passphrase-file", type=Path, help=f"of encrypted keys, instead of ${PASSPHRASE}"
    )


def _days(text: str) -> float:
    days = float(text)
    if not LEAST_DAYS <= days <= CA_DAYS:
        raise argparse.ArgumentTypeError(f"must be from {LEAST_DAYS} to {CA_DAYS}")
    return days


def _secret(args: argparse.Namespace) -> bytes | None:
    """The pass-phrase. Raises ToolError if it is wanted, and not there."""
    secret = read_passphrase(args.passphrase_file)
    if getattr(args, "encrypt", False) and not secret:
        raise ToolError(f"--encrypt needs a pass-phrase: set {PASSPHRASE}, or --passphrase-file")
    return secret


def _make(args: argparse.Namespace) -> None:
    secret = _secret(args)
    given = args.registration_id, args.out, args.key, args.days, args.force
    folder = args.make(*given, secret, args.encrypt)
    cert = load_certs(folder / "cert.pem")[0]
    print(f"{folder}: certificate of {args.registration_id} until {cert.not_valid_after_utc:%F}")
    print(f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}")  # noqa: S303  as Azure's portal shows


def _batch(args: argparse.Namespace) -> None:
    made, there = batch.run(args.csv, args.out, args.key, args.days, _secret(args), args.encrypt)
    print(f"{args.out}: {made} certificates made, {there} were there")


def _show(args: argparse.Namespace) -> None:
    for path in args.path:
        print(show(path))


def _convert(args: argparse.Namespace) -> None:
    folder = convert(args.cert, args.key, args.issuer, args.out, args.force, _secret(args))
    print(show(folder))


def _prove(args: argparse.Namespace) -> None:
    prove(args.code, args.cert, args.key, args.out, args.force, _secret(args))
    print(f"{args.out}: give it to DPS, which compares it with {args.cert}")


def _renew(args: argparse.Namespace) -> None:
    folder = args.out / args.registration_id
    made = renew(folder, args.out, args.days, args.keep_key, args.force, _secret(args))
    cert = load_certs(made / "cert.pem")[0]
    print(f"{made}: certificate of {args.registration_id} until {cert.not_valid_after_utc:%F}")
    print(f"  next: microdps config --identity {made} --slot b")
