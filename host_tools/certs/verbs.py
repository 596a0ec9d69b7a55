"""microdps certs: make, show, convert and renew certificates."""

import argparse
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from .. import ToolError
from . import batch as certs_batch
from .convert import renew, to_device, to_pem
from .keys import KEY_TYPES, PASSPHRASE, read_passphrase
from .making import (
    CA_DAYS,
    DEVICE_DAYS,
    LEAST_DAYS,
    chain,
    checked,
    load_certs,
    load_pair,
    pem,
    proof,
    self_signed,
    write_new,
)
from .show import show


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
        kind = _kind(kinds, name, f"make {text}, for an {scenario}", "device-01 --out certs")
        kind.add_argument("registration_id", help="becomes the certificate's common name")
        _add_making(kind)
        kind.add_argument("--force", action="store_true", help="replace the device's files")
        kind.set_defaults(function=_make, make=function)
    _add_batch(kinds)
    kind = _kind(kinds, "show", "say what is in certificates", "certs/device-01")
    kind.add_argument("path", type=Path, nargs="+", help="PEM or DER file, or a device's folder")
    kind.set_defaults(function=_show)
    _add_convert(kinds)
    _add_prove(kinds)
    _add_renew(kinds)


def _add_batch(kinds) -> None:
    kind = _kind(
        kinds,
        "batch",
        "make certificates for the devices of a CSV file, signed by the intermediate in --out",
        "devices.csv --out certs",
    )
    kind.add_argument(
        "csv",
        type=Path,
        help=f"has a column {certs_batch.COLUMN}; a device that has its folder is left alone",
    )
    _add_making(kind)
    kind.set_defaults(function=_batch)


def _add_convert(kinds) -> None:
    kind = _kind(
        kinds,
        "convert",
        "make a device's files of openssl's, or PEM of a device's files",
        "device-01-full-chain.cert.pem --key device-01.key.pem --out certs/device-01",
    )
    kind.add_argument(
        "source",
        type=Path,
        help="the device's certificate or its full chain, PEM or DER; or its folder with key.der"
        " and cert.der",
    )
    kind.add_argument("--key", type=Path, help="the private key of a certificate or chain")
    kind.add_argument(
        "--issuer",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what the chain lacks, the leaf's issuer first (repeatable)",
    )
    kind.add_argument("--out", type=Path, required=True, help="folder")
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the files")
    kind.set_defaults(function=_convert)


def _add_prove(kinds) -> None:
    kind = _kind(
        kinds,
        "prove",
        "make the certificate that proves to DPS that a CA's key is yours",
        "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288 --cert certs/root.cert.pem"
        " --key certs/root.key.pem",
    )
    kind.add_argument("code", help="DPS's verification code")
    kind.add_argument("--cert", type=Path, required=True, help="the CA's certificate")
    kind.add_argument("--key", type=Path, required=True, help="the CA's private key")
    kind.add_argument(
        "--out", type=Path, default=Path("proof.cert.pem"), help="file (%(default)s)"
    )
    _add_passphrase(kind, encrypt=False)
    kind.add_argument("--force", action="store_true", help="replace the file")
    kind.set_defaults(function=_prove)


def _add_renew(kinds) -> None:
    kind = _kind(
        kinds,
        "renew",
        "make the certificate that follows a device's newest, for its other slot",
        "device-01 --out certs",
    )
    kind.add_argument("registration_id", help="of a device that has its folder in --out")
    kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
    kind.add_argument("--keep-key", action="store_true", help="make no new key")
    for part, word in (("cert", "certificate"), ("key", "private key")):
        kind.add_argument(
            f"--issuer-{part}",
            type=Path,
            metavar="FILE",
            help=f"{word} of who signs (intermediate.{part}.pem in --out)",
        )
    _add_days(kind)
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the older identity")
    kind.set_defaults(function=_renew)


def _kind(kinds, name: str, text: str, example: str) -> argparse.ArgumentParser:
    return kinds.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: microdps certs {name} {example}",
    )


def _add_making(kind) -> None:
    kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
    kind.add_argument("--key", choices=KEY_TYPES, default="ec-p256", help="key type (%(default)s)")
    _add_days(kind)
    _add_passphrase(kind)


def _add_days(kind) -> None:
    kind.add_argument(
        "--days", type=_days, default=DEVICE_DAYS, help="validity in days (%(default)s)"
    )


def _days(text: str) -> float:
    days = float(text)
    if not LEAST_DAYS <= days <= CA_DAYS:
        raise argparse.ArgumentTypeError(f"must be from {LEAST_DAYS} to {CA_DAYS}")
    return days


def _add_passphrase(kind, encrypt: bool = True) -> None:
    kind.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"with the pass-phrase of keys in its first line, instead of ${PASSPHRASE}",
    )
    if encrypt:
        kind.add_argument(
            "--encrypt",
            action="store_true",
            help="encrypt the PEM keys that are written; key.der never is, for the device reads"
            " no encrypted key",
        )


def _passphrase(args: argparse.Namespace) -> bytes | None:
    """Raises ToolError if keys are to be encrypted, and there is none."""
    passphrase = read_passphrase(args.passphrase_file)
    if args.encrypt and not passphrase:
        raise ToolError(f"--encrypt needs a pass-phrase: set {PASSPHRASE}, or --passphrase-file")
    return passphrase


def _make(args: argparse.Namespace) -> None:
    given = (args.registration_id, args.out, args.key, args.days, args.force)
    folder = args.make(*given, _passphrase(args), args.encrypt)
    _say(folder, args.registration_id)


def _say(folder: Path, registration_id: str) -> None:
    cert = load_certs(folder / "cert.pem")[0]
    print(f"{folder}: certificate of {registration_id} until {cert.not_valid_after_utc:%F}")
    print(f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}")  # noqa: S303  as Azure's portal shows


def _batch(args: argparse.Namespace) -> None:
    passphrase = _passphrase(args)
    count = certs_batch.batch(args.csv, args.out, args.key, args.days, passphrase, args.encrypt)
    print(f"{args.out}: {count.made} certificates made, {count.there} were there")


def _show(args: argparse.Namespace) -> None:
    for path in args.path:
        print("\n".join(show(path)))


def _convert(args: argparse.Namespace) -> None:
    source, how = args.source, (args.out, args.force, _passphrase(args), args.encrypt)
    if source.is_dir():
        if args.key or args.issuer:
            raise ToolError(f"{source} is a folder, which has its key and issuers: give no more")
        to_pem(source, *how)
    elif args.key:
        to_device(source, args.key, args.issuer, *how)
    else:
        raise ToolError(f"{source} needs its private key: give it with --key")
    print("\n".join(show(args.out)))


def _prove(args: argparse.Namespace) -> None:
    authority = load_pair(args.cert, args.key, read_passphrase(args.passphrase_file))
    write_new(args.out.parent, {args.out.name: pem(proof(args.code, authority))}, args.force)
    print(f"{args.out}: give it to DPS as the verification of {args.cert}")


def _renew(args: argparse.Namespace) -> None:
    name = checked(args.registration_id)
    made, slot = renew(
        args.out / name,
        args.issuer_cert or args.out / "intermediate.cert.pem",
        args.issuer_key or args.out / "intermediate.key.pem",
        args.days,
        args.keep_key,
        args.force,
        _passphrase(args),
        args.encrypt,
    )
    _say(made, name)
    print(f"  next: microdps config --out device --identity {made} --slot {slot}")
