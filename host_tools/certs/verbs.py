"""microdps certs: make, show, convert and renew certificates."""

import argparse
from pathlib import Path

from .. import ToolError
from .defaults import CA_DAYS, COLUMN, DEVICE_DAYS, KEY_NAMES, MIN_DAYS, PASSPHRASE_VARIABLE


def add_certs_parser(add) -> None:
    verb = add(
        description=__doc__,
        epilog="example: microdps certs chain device-01 --out certs",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    _add_self_signed_and_chain(kinds)
    _add_batch(kinds)
    _add_show(kinds)
    _add_convert(kinds)
    _add_prove(kinds)
    _add_renew(kinds)


def _add_self_signed_and_chain(kinds) -> None:
    for name, text, scenario in (
        ("self-signed", "a self-signed certificate", "individual enrollment"),
        ("chain", "a root, an intermediate and a device certificate", "enrollment group"),
    ):
        kind = _kind(kinds, name, f"make {text}, for an {scenario}", "device-01 --out certs")
        kind.add_argument("registration_id", help="becomes the certificate's common name")
        _add_making(kind)
        kind.add_argument("--force", action="store_true", help="replace the device's files")
        if name == "chain":
            _add_with_root(kind)
        kind.set_defaults(function=_make, is_chain=name == "chain")


def _add_with_root(kind) -> None:
    kind.add_argument(
        "--with-root",
        action="store_true",
        help="the chain that the device sends ends with the root, for an enrollment of the root;"
        " without it, with the intermediate",
    )


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
        help=f"has a column {COLUMN}; a device that already has its folder is left alone",
    )
    _add_making(kind)
    _add_with_root(kind)
    kind.set_defaults(function=_batch)


def _add_show(kinds) -> None:
    kind = _kind(kinds, "show", "describe certificates", "certs/device-01")
    kind.add_argument("path", type=Path, nargs="+", help="PEM or DER file, or a device's folder")
    kind.set_defaults(function=_show)


def _add_convert(kinds) -> None:
    kind = _kind(
        kinds,
        "convert",
        "convert PEM, DER or PKCS#12 files to a device's files, or a device's files to PEM",
        "device-01-full-chain.cert.pem --key device-01.key.pem --out certs/device-01",
    )
    kind.add_argument(
        "source",
        type=Path,
        help="the device's certificate or full chain, PEM or DER, in any order; or a .pfx; or a"
        " folder with key.der and cert.der",
    )
    kind.add_argument("--key", type=Path, help="the private key, if the file does not have it")
    kind.add_argument(
        "--issuer",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="certificates that the chain lacks (repeatable)",
    )
    kind.add_argument("--out", type=Path, required=True, help="folder")
    _add_passphrase(kind)
    kind.add_argument("--force", action="store_true", help="replace the files")
    kind.set_defaults(function=_convert)


def _add_prove(kinds) -> None:
    kind = _kind(
        kinds,
        "prove",
        "make the certificate that proves to DPS that you have a CA's key",
        "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288 --cert certs/root.cert.pem"
        " --key certs/root.key.pem",
    )
    kind.add_argument("code", help="the verification code from DPS")
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
        "make a device's next certificate, for its other slot",
        "device-01 --out certs",
    )
    kind.add_argument("registration_id", help="of a device that has its folder in --out")
    kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
    kind.add_argument("--keep-key", action="store_true", help="use the same key again")
    for part, word in (("cert", "certificate"), ("key", "private key")):
        kind.add_argument(
            f"--issuer-{part}",
            type=Path,
            metavar="FILE",
            help=f"the issuer's {word} (intermediate.{part}.pem in --out)",
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
    kind.add_argument("--key", choices=KEY_NAMES, default="ec-p256", help="key type (%(default)s)")
    _add_days(kind)
    _add_passphrase(kind)


def _add_days(kind) -> None:
    kind.add_argument(
        "--days", type=_days, default=DEVICE_DAYS, help="validity in days (%(default)s)"
    )


def _days(text: str) -> float:
    days = float(text)
    if not MIN_DAYS <= days <= CA_DAYS:
        raise argparse.ArgumentTypeError(f"must be from {MIN_DAYS} to {CA_DAYS}")
    return days


def _add_passphrase(kind, encrypt: bool = True) -> None:
    kind.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"a file with the keys' pass-phrase in its first line, instead of"
        f" ${PASSPHRASE_VARIABLE}",
    )
    if encrypt:
        kind.add_argument(
            "--encrypt",
            action="store_true",
            help="encrypt new keys in PEM; key.der is never encrypted, because the device cannot"
            " read encrypted keys",
        )


# What a verb needs is imported when it runs: so the help appears at once.


def _passphrase(args: argparse.Namespace) -> bytes | None:
    """Raises ToolError if --encrypt is given without a pass-phrase."""
    from .keys import read_passphrase

    passphrase = read_passphrase(args.passphrase_file)
    if args.encrypt and not passphrase:
        raise ToolError(
            f"--encrypt needs a pass-phrase: set {PASSPHRASE_VARIABLE}, or give --passphrase-file"
        )
    return passphrase


def _make(args: argparse.Namespace) -> None:
    from .certificate_folder import make_chain, make_self_signed

    options = (args.registration_id, args.out, args.key, args.days, args.force)
    secret = (_passphrase(args), args.encrypt)
    if args.is_chain:
        folder = make_chain(*options, *secret, args.with_root)
    else:
        folder = make_self_signed(*options, *secret)
    _print_certificate(folder, args.registration_id)


def _print_certificate(folder: Path, registration_id: str) -> None:
    from cryptography.hazmat.primitives import hashes

    from .reading import load_certs

    cert = load_certs(folder / "cert.pem")[0]
    print(f"{folder}: certificate of {registration_id} until {cert.not_valid_after_utc:%F}")
    print(f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}")  # noqa: S303  as Azure's portal shows


def _batch(args: argparse.Namespace) -> None:
    from .batch import make_batch

    options = (args.out, args.key, args.days, _passphrase(args), args.encrypt, args.with_root)
    count = make_batch(args.csv, *options)
    print(f"{args.out}: {count.made} certificates made, {count.existing} existed")


def _show(args: argparse.Namespace) -> None:
    from .show import show

    for path in args.path:
        print("\n".join(show(path)))


def _convert(args: argparse.Namespace) -> None:
    from .convert import to_certificate_folder, to_pem
    from .reading import has_key, load_certs
    from .show import show

    source, options = args.source, (args.out, args.force, _passphrase(args), args.encrypt)
    if source.is_dir():
        if args.key or args.issuer:
            raise ToolError(
                f"{source} is a folder with its own key and issuers: leave out --key and --issuer"
            )
        to_pem(source, *options)
    elif args.key or has_key(source, options[2]):
        to_certificate_folder(source, args.key or source, args.issuer, *options)
    else:
        load_certs(source)  # if it has no certificate either, this says what it is
        raise ToolError(f"{source} needs its private key: give it with --key")
    print("\n".join(show(args.out)))


def _prove(args: argparse.Namespace) -> None:
    from ..files import write_files
    from .ca import proof_of_possession
    from .encoding import pem
    from .keys import read_passphrase
    from .reading import load_cert_and_key

    ca = load_cert_and_key(args.cert, args.key, read_passphrase(args.passphrase_file))
    proof = proof_of_possession(args.code, ca)
    write_files(args.out.parent, {args.out.name: pem(proof)}, args.force)
    print(f"{args.out}: upload it to DPS to verify {args.cert}")


def _renew(args: argparse.Namespace) -> None:
    from .registration_id import check_registration_id
    from .renew import renew

    name = check_registration_id(args.registration_id)
    folder, slot = renew(
        args.out / name,
        args.issuer_cert or args.out / "intermediate.cert.pem",
        args.issuer_key or args.out / "intermediate.key.pem",
        args.days,
        args.keep_key,
        args.force,
        _passphrase(args),
        args.encrypt,
    )
    _print_certificate(folder, name)
    print(f"  next: microdps config --out device --identity {folder} --slot {slot}")
