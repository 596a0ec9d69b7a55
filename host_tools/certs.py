"""The certificates of devices and of their issuers: making, reading and writing them.

PEM for people and for Azure, DER for the device: key.der as SEC1 or PKCS#1, cert.der as the leaf
followed by its issuers without the root (firmware/microdps/identity.py reads it).
"""

import datetime
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools import ToolError
from host_tools.certs_keys import KEY_TYPES, PrivateKey, load_key
from microdps.errors import IdentityError
from microdps.identity import split
from microdps.program.config import valid_registration_id

CA_DAYS = 3650
DEVICE_DAYS = 365
LEAST_DAYS = 0.01  # some 14 minutes, of which 5 lie in the past

PROOF_DAYS = 2  # a proof of possession is looked at once

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
    key: PrivateKey | None = None,
) -> Pair:
    """Make a certificate, and a key for it if none is given.

    name    common name of the subject
    issuer  who signs it; None: it signs itself
    days    of validity, from start on, which is now if not given
    usage   extended key usage of a certificate that is no CA's
    hosts   subject alternative names
    key     its key; None: a new one of the key type

    Source: RFC 5280; "Create and provision devices with X.509 certificates" for the extensions.
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

    All are written beside their places, and then renamed: none is ever half there, and a full disk
    leaves the old ones.
    Raises ToolError, before any is written, if one is there already and force is not given.
    """
    taken = [str(folder / name) for name in files if (folder / name).exists()]
    if taken and not force:
        raise ToolError(f"{taken[0]} is there already: give --force to replace it")
    news = {folder / f".{name}.new": folder / name for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for (new, path), content in zip(news.items(), files.values(), strict=True):
                mode = 0o644 if SECRET.isdisjoint(path.name.split(".")) else 0o600
                new.unlink(missing_ok=True)
                with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    file.write(content)
            for new, path in news.items():
                new.replace(path)
        finally:
            for new in news:
                new.unlink(missing_ok=True)
    except OSError as error:
        raise ToolError(f"cannot write to {folder}: {error.strerror}") from error


def write_folder(folder: Path, files: dict[str, bytes], force: bool = False) -> None:
    """Write a folder as write_new() does; a new one appears with all of its files, or not at all.

    Raises ToolError; nothing is then left of a new one.
    """
    if folder.exists():
        write_new(folder, files, force)
        return
    new = folder.with_name(f".{folder.name}~")  # no registration ID ends so
    try:
        if new.exists():
            shutil.rmtree(new)  # of a run that was killed
        write_new(new, files)
        new.rename(folder)
    except OSError as error:
        raise ToolError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)  # what failed is told already


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
    if folder.exists() and not force:
        raise ToolError(f"{folder} is there already: give --force to replace it")
    pair = issue(name, key_type=key_type, days=days)
    write_folder(folder, device_files(pair, [], passphrase if encrypt else None), force)
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
    write_folder(folder, files, force)
    return folder


def proof(code: str, authority: Pair) -> x509.Certificate:
    """The certificate that proves to DPS that the key of a CA certificate is ours: for the
    verification code, signed by that key. Nobody needs its own key.

    Raises ToolError if the code is none, or the certificate is no CA's.
    Source: "Verify X.509 CA certificates with DPS".
    """
    if not (code.isascii() and code.isalnum()) or len(code) > COMMON_NAME:
        raise ToolError(f"{code!r} is no verification code: copy it whole from DPS")
    constraints = extension(authority.cert, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ToolError(
            f"{common_name(authority.cert)} is no CA certificate: name the one that DPS asks about"
        )
    return issue(code, authority, days=PROOF_DAYS).cert


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
    check_in_force(intermediate.cert)
    return intermediate


def check_in_force(issuer: x509.Certificate) -> None:
    """Raises ToolError if a CA's certificate has expired: DPS takes nothing that it signs."""
    if issuer.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise ToolError(
            f"the certificate of {common_name(issuer)!r} expired on"
            f" {issuer.not_valid_after_utc:%F}, and DPS takes nothing that it signs: make another"
            " in a new folder, and enroll it"
        )


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


def load_certs(path: Path) -> list[x509.Certificate]:
    """Read the certificates of a file, at least one: PEM, or DER one after the other as in the
    device's cert.der. Raises ToolError."""
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [
            x509.load_der_x509_certificate(cert) for cert in split(io.BytesIO(data), str(path))
        ]
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
