"""microdps certs: make the certificates of devices and of their issuers.

PEM for people and for Azure, DER for the device: key.der as SEC1 or PKCS#1, cert.der as the leaf
followed by its issuers without the root (firmware/microdps/identity.py reads it).
"""

import argparse
import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools import ToolError
from microdps.config import valid_registration_id

KEY_TYPES: dict[str, Callable[[], "PrivateKey"]] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CA_DAYS = 3650
DEVICE_DAYS = 365
LEAST_DAYS = 0.01  # some 14 minutes, of which 5 lie in the past

# A common name has at most 64 characters (X.520, ub-common-name).
COMMON_NAME = 64

# Parts of the names of files that others must not read.
SECRET = {"key", "config"}

# Clocks differ: a certificate is valid from a little before it was made.
BACKDATE = datetime.timedelta(minutes=5)


@dataclass
class Pair:
    """A certificate and its private key."""

    cert: x509.Certificate
    key: PrivateKey


def issue(
    name: str,
    issuer: Pair | None = None,
    *,
    key_type: str = "ec-p256",
    days: float = DEVICE_DAYS,
    ca: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    hosts: tuple[x509.GeneralName, ...] = (),
    start: datetime.datetime | None = None,
) -> Pair:
    """Make a key and a certificate for it.

    name    common name of the subject
    issuer  who signs it; None: it signs itself
    days    of validity, from start on, which is now if not given
    usage   extended key usage of a certificate that is no CA's
    hosts   subject alternative names
    """
    key = KEY_TYPES[key_type]()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = start or datetime.datetime.now(datetime.UTC) - BACKDATE
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.cert.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return Pair(builder.sign(signer, hashes.SHA256()), key)


def key_pem(pair: Pair) -> bytes:
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_der(pair: Pair) -> bytes:
    """The key as the device reads it: SEC1 for EC, PKCS#1 for RSA."""
    return pair.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def pem(*certs: x509.Certificate) -> bytes:
    return b"".join(cert.public_bytes(Encoding.PEM) for cert in certs)


def der(*certs: x509.Certificate) -> bytes:
    return b"".join(cert.public_bytes(Encoding.DER) for cert in certs)


def write_new(folder: Path, files: dict[str, bytes], force: bool = False) -> None:
    """Write files into a folder, secrets for their owner's eyes only: keys (named key.*, *.key.*)
    and config.json, which may hold the Wi-Fi's password.

    Each is written beside its place and then renamed, so none is ever half there.
    Raises ToolError, before any is written, if one is there already and force is not given.
    """
    taken = [str(folder / name) for name in files if (folder / name).exists()]
    if taken and not force:
        raise ToolError(f"{taken[0]} is there already: give --force to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            mode = 0o644 if SECRET.isdisjoint(name.split(".")) else 0o600
            new = folder / f".{name}.new"
            new.unlink(missing_ok=True)
            try:
                with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    file.write(content)
                new.replace(folder / name)
            finally:
                new.unlink(missing_ok=True)
    except OSError as error:
        raise ToolError(f"cannot write to {folder}: {error.strerror}") from error


def device_files(pair: Pair, issuers: list[x509.Certificate]) -> dict[str, bytes]:
    """What a device's folder holds; issuers go with the leaf, and are without the root."""
    return {
        "key.pem": key_pem(pair),
        "cert.pem": pem(pair.cert),
        "full-chain.pem": pem(pair.cert, *issuers),
        "key.der": key_der(pair),
        "cert.der": der(pair.cert, *issuers),
    }


def self_signed(name: str, out: Path, key_type: str, days: float, force: bool) -> Path:
    """Make a self-signed device certificate in out/name → that folder."""
    folder = out / checked(name)
    write_new(folder, device_files(issue(name, key_type=key_type, days=days), []), force)
    return folder


def chain(name: str, out: Path, key_type: str, days: float, force: bool) -> Path:
    """Make a device certificate in out/name, signed by the intermediate in out → that folder.

    The root and the intermediate are made if they are not there, and never replaced: other
    devices depend on them. A root that is kept elsewhere is not missed.
    """
    folder = out / checked(name)
    if folder.exists() and not force:
        raise ToolError(f"{folder} is there already: give --force to replace it")
    root = None
    if any(out.glob("root.*.pem")) or not any(out.glob("intermediate.*.pem")):
        root = _authority(out, "root", "microdps test root", None, key_type)
    intermediate = _authority(out, "intermediate", "microdps test intermediate", root, key_type)
    if root and not signed_by(intermediate.cert, root.cert):
        raise ToolError(
            f"the intermediate in {out} was not signed by the root there: put back the root that"
            " belongs to it, or take away both"
        )
    device = issue(name, intermediate, key_type=key_type, days=days)
    write_new(folder, device_files(device, [intermediate.cert]), force)
    return folder


def common_name(cert: x509.Certificate) -> str:
    names = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def extension(cert: x509.Certificate, kind):
    """The value of an extension; None if there is none. Raises ValueError if it is unreadable."""
    try:
        return cert.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def for_clients(cert: x509.Certificate) -> bool:
    """No extended key usage, or one that has clientAuth. Raises ValueError as extension() does."""
    usage = extension(cert, x509.ExtendedKeyUsage)
    return usage is None or ExtendedKeyUsageOID.CLIENT_AUTH in usage


def signed_by(cert: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Does the issuer's key verify the certificate's signature, and its name fit?"""
    try:
        cert.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _authority(out: Path, stem: str, name: str, issuer: Pair | None, key_type: str) -> Pair:
    """The CA of that name in out, made if it is not there."""
    cert_name, key_name = f"{stem}.cert.pem", f"{stem}.key.pem"
    if (out / cert_name).exists() or (out / key_name).exists():
        return load_pair(out / cert_name, out / key_name)
    made = issue(name, issuer, key_type=key_type, days=CA_DAYS, ca=True)
    write_new(out, {key_name: key_pem(made), cert_name: pem(made.cert)})
    return made


def load_pair(cert: Path, key: Path) -> Pair:
    """Read a certificate and its key. Raises ToolError if one is missing or they do not match."""
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise ToolError(f"cannot read the private key {key}: {error}") from error
    pair = Pair(load_certs(cert)[0], private)  # type: ignore[arg-type]
    if pair.cert.public_key() != private.public_key():
        raise ToolError(f"{key} is not the key of {cert}: put back the pair that belongs together")
    return pair


def load_certs(path: Path) -> list[x509.Certificate]:
    """Read the certificates of a PEM or DER file, at least one. Raises ToolError."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (OSError, ValueError) as error:
        raise ToolError(f"cannot read a certificate from {path}: {error}") from error


def checked(registration_id: str) -> str:
    """The registration ID, which becomes the common name. Raises ToolError if DPS forbids it."""
    if not valid_registration_id(registration_id) or len(registration_id) > COMMON_NAME:
        raise ToolError(
            f"{registration_id!r} is no registration ID: use 1 to {COMMON_NAME} of A-Z a-z 0-9"
            " - . _ : with a letter, a digit or a dash at the end"
        )
    return registration_id


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "certs",
        help="make certificates",
        description=__doc__.split("\n")[0],
        epilog="example: microdps certs chain device-01 --out certs",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, function, text, scenario in (
        ("self-signed", self_signed, "a certificate that signs itself", "individual enrollment"),
        ("chain", chain, "a root, an intermediate and a device certificate", "enrollment group"),
    ):
        kind = kinds.add_parser(
            name,
            help=f"{text}, for an {scenario}",
            description=f"Make {text}, for an {scenario}.",
            epilog=f"example: microdps certs {name} device-01 --out certs",
        )
        kind.add_argument("registration_id", help="becomes the certificate's common name")
        kind.add_argument("--out", type=Path, default=Path("certs"), help="folder (%(default)s)")
        kind.add_argument(
            "--key", choices=KEY_TYPES, default="ec-p256", help="key type (%(default)s)"
        )
        kind.add_argument(
            "--days", type=_days, default=DEVICE_DAYS, help="validity in days (%(default)s)"
        )
        kind.add_argument("--force", action="store_true", help="replace the device's files")
        kind.set_defaults(function=_run, make=function)


def _days(text: str) -> float:
    days = float(text)
    if not LEAST_DAYS <= days <= CA_DAYS:
        raise argparse.ArgumentTypeError(f"must be from {LEAST_DAYS} to {CA_DAYS}")
    return days


def _run(args: argparse.Namespace) -> None:
    folder = args.make(args.registration_id, args.out, args.key, args.days, args.force)
    cert = load_certs(folder / "cert.pem")[0]
    print(f"{folder}: certificate of {args.registration_id} until {cert.not_valid_after_utc:%F}")
    print(f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}")  # noqa: S303  as Azure's portal shows
