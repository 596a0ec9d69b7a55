"""The certificates of devices and of their issuers: making, reading and writing them.

PEM for people and for Azure, DER for the device: key.der as SEC1 or PKCS#1, cert.der as the leaf
followed by its issuers without the root (firmware/microdps/identity.py reads it).
"""

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools import ToolError
from microdps.config import valid_registration_id
from microdps.errors import IdentityError
from microdps.identity import split

KEY_TYPES: dict[str, Callable[[], "PrivateKey"]] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CA_DAYS = 3650
DEVICE_DAYS = 365
LEAST_DAYS = 0.01  # some 14 minutes, of which 5 lie in the past

# A common name has at most 64 characters (X.520, ub-common-name).
COMMON_NAME = 64

# Where the pass-phrase of keys comes from, unless from a file.
PASSPHRASE = "MICRODPS_KEY_PASSPHRASE"  # noqa: S105  the variable's name

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
    key: "PrivateKey | None" = None,
) -> Pair:
    """Make a certificate, and a key for it if none is given.

    name    common name of the subject
    issuer  who signs it; None: it signs itself
    days    of validity, from start on, which is now if not given
    usage   extended key usage of a certificate that is no CA's
    hosts   subject alternative names
    """
    key = key or KEY_TYPES[key_type]()
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
    # NIST SP 800-57: a digest as strong as the curve.
    strong = isinstance(signer, ec.EllipticCurvePrivateKey) and signer.key_size > 256
    return Pair(builder.sign(signer, hashes.SHA384() if strong else hashes.SHA256()), key)


def key_pem(pair: Pair, passphrase: bytes | None = None) -> bytes:
    """The key for people and openssl; encrypted if there is a pass-phrase."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


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


# The files of a device's folder: those of device_files().
FILES = ("key.pem", "cert.pem", "full-chain.pem", "key.der", "cert.der")


def device_files(
    pair: Pair, issuers: list[x509.Certificate], passphrase: bytes | None = None
) -> dict[str, bytes]:
    """What a device's folder holds; issuers go with the leaf, and are without the root.

    passphrase  encrypts key.pem; never key.der, for MicroPython reads no encrypted key
    """
    return {
        "key.pem": key_pem(pair, passphrase),
        "cert.pem": pem(pair.cert),
        "full-chain.pem": pem(pair.cert, *issuers),
        "key.der": key_der(pair),
        "cert.der": der(pair.cert, *issuers),
    }


def self_signed(
    name: str,
    out: Path,
    key_type: str,
    days: float,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make a self-signed device certificate in out/name → that folder.

    encrypt  key.pem, by the pass-phrase
    """
    folder = out / checked(name)
    pair = issue(name, key_type=key_type, days=days)
    write_new(folder, device_files(pair, [], passphrase if encrypt else None), force)
    return folder


def chain(
    name: str,
    out: Path,
    key_type: str,
    days: float,
    force: bool,
    passphrase: bytes | None = None,
    encrypt: bool = False,
) -> Path:
    """Make a device certificate in out/name, signed by the intermediate in out → that folder.

    passphrase  opens the intermediate's key, if that is encrypted
    encrypt     what is written of keys in PEM, by the pass-phrase
    """
    folder = out / checked(name)
    if folder.exists() and not force:
        raise ToolError(f"{folder} is there already: give --force to replace it")
    intermediate = authorities(out, key_type, passphrase, encrypt)
    device = issue(name, intermediate, key_type=key_type, days=days)
    files = device_files(device, [intermediate.cert], passphrase if encrypt else None)
    write_new(folder, files, force)
    return folder


def authorities(
    out: Path, key_type: str, passphrase: bytes | None = None, encrypt: bool = False
) -> Pair:
    """The intermediate in out, which signs devices' certificates.

    It and the root are made if they are not there, and never replaced: other devices depend on
    them. A root that is kept elsewhere is not missed. Raises ToolError if they do not fit.
    """
    secret = passphrase if encrypt else None
    root = None
    if any(out.glob("root.*.pem")) or not any(out.glob("intermediate.*.pem")):
        root = _authority(out, "root", None, key_type, passphrase, secret)
    intermediate = _authority(out, "intermediate", root, key_type, passphrase, secret)
    if root and not signed_by(intermediate.cert, root.cert):
        raise ToolError(
            f"the intermediate in {out} was not signed by the root there: put back the root that"
            " belongs to it, or take away both"
        )
    return intermediate


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


def _authority(
    out: Path,
    stem: str,
    issuer: Pair | None,
    key_type: str,
    passphrase: bytes | None,
    secret: bytes | None,
) -> Pair:
    """The CA of that name in out, made if it is not there, its key encrypted by the secret."""
    cert_name, key_name = f"{stem}.cert.pem", f"{stem}.key.pem"
    if (out / cert_name).exists() or (out / key_name).exists():
        return load_pair(out / cert_name, out / key_name, passphrase)
    made = issue(f"microdps test {stem}", issuer, key_type=key_type, days=CA_DAYS, ca=True)
    write_new(out, {key_name: key_pem(made, secret), cert_name: pem(made.cert)})
    return made


def load_pair(cert: Path, key: Path, passphrase: bytes | None = None) -> Pair:
    """Read a certificate and its key. Raises ToolError if one is missing or they do not match."""
    private = load_key(key, passphrase)
    pair = Pair(load_certs(cert)[0], private)
    if pair.cert.public_key() != private.public_key():
        raise ToolError(f"{key} is not the key of {cert}: put back the pair that belongs together")
    return pair


def load_key(path: Path, passphrase: bytes | None = None) -> "PrivateKey":
    """Read a private key, PEM or DER, RSA or EC. Raises ToolError."""
    try:
        data = path.read_bytes()
        load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
        try:
            key = load(data, passphrase)
        except TypeError:
            if passphrase is None:
                raise ToolError(
                    f"{path} is encrypted: set {PASSPHRASE}, or give --passphrase-file"
                ) from None
            key = load(data, None)  # it is not encrypted, and needs no pass-phrase
    except OSError as error:
        raise ToolError(f"cannot read the private key {path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "the pass-phrase does not open it, or it is none" if passphrase else str(error)
        raise ToolError(f"cannot read the private key {path}: {why}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ToolError(f"{path} is neither an RSA nor an EC key, which Azure takes: make another")
    return key


def read_passphrase(file: Path | None) -> bytes | None:
    """From the first line of the file, else from the environment; None if there is none.

    Raises ToolError if the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get(PASSPHRASE, "").encode() or None
    try:
        text = file.read_bytes().partition(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise ToolError(f"cannot read the pass-phrase from {file}: {error.strerror}") from error
    if not text:
        raise ToolError(f"{file} is empty: put the pass-phrase into its first line")
    return text


def load_certs(path: Path) -> list[x509.Certificate]:
    """Read the certificates of a file, at least one: PEM, or DER one after the other as in the
    device's cert.der. Raises ToolError."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(cert) for cert in split(data, str(path))]
    except (OSError, ValueError, IdentityError) as error:
        raise ToolError(f"cannot read a certificate from {path}: {error}") from error


def checked(registration_id: str) -> str:
    """The registration ID, which becomes the common name. Raises ToolError if DPS forbids it."""
    if not valid_registration_id(registration_id) or len(registration_id) > COMMON_NAME:
        raise ToolError(
            f"{registration_id!r} is no registration ID: use 1 to {COMMON_NAME} of A-Z a-z 0-9"
            " - . _ : with a letter, a digit or a dash at the end"
        )
    return registration_id
