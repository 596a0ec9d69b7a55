"""Private keys: make and read them; the pass-phrases that open encrypted ones."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_ssh_private_key,
)

from .. import ToolError
from ..text_files import MARKS, decode
from .blocks import CUT_OFF, KEY_LABELS, read_blocks
from .defaults import PASSPHRASE_VARIABLE
from .kinds import wrong_kind

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KEY_TYPES: dict[str, Callable[[], PrivateKey]] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
}

PASSPHRASE_LIMIT = 1023  # bytes, OpenSSL's limit


def new_key_like(cert: x509.Certificate) -> PrivateKey:
    """Make a key of the same type as a certificate's. Raises ToolError."""
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return rsa.generate_private_key(65537, key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ec.generate_private_key(key.curve)
    raise ToolError(f"{cert.subject.rfc4514_string()} has neither an RSA nor an EC key")


def load_key(path: Path, passphrase: bytes | None = None) -> PrivateKey:
    """Read a private key, RSA or EC, in any form that blocks.py finds.

    passphrase  opens an encrypted key; a plain key ignores it
    Raises ToolError.
    """
    try:
        blocks = read_blocks(path, lambda: passphrase)
    except OSError as error:
        raise ToolError(f"cannot read the private key {path}: {error.strerror}") from error
    pem = next((block.content for block in blocks if block.label in KEY_LABELS), None)
    if pem is None:
        broken = [block for block in blocks if block.label == CUT_OFF]
        why = wrong_kind(path, (broken or blocks)[0], "key")
        raise ToolError(f"the private key {path} cannot be read: {why}")
    return load_pem_key(pem, str(path), passphrase)


def load_pem_key(pem: bytes, name: str, passphrase: bytes | None) -> PrivateKey:
    """Read a private key from PEM. name: of its file. Raises ToolError."""
    load = load_ssh_private_key if b"OPENSSH" in pem[:40] else load_pem_private_key
    encrypted = b"ENCRYPTED" in pem[:80]
    try:
        key = _load(load, pem, passphrase)
    except TypeError as error:
        raise ToolError(
            f"the private key {name} is encrypted: set {PASSPHRASE_VARIABLE}, or give"
            " --passphrase-file"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = "is damaged, or of a kind that no board reads: make an EC or RSA key"
        if passphrase and (encrypted or load is load_ssh_private_key):
            why = (
                f"does not open: check the pass-phrase in {PASSPHRASE_VARIABLE} or"
                " --passphrase-file"
            )
        raise ToolError(f"the private key {name} {why}") from error
    if not isinstance(key, PrivateKey):
        raise ToolError(f"the private key {name} is neither RSA nor EC: make another key")
    return key


def _load(load: Callable, data: bytes, passphrase: bytes | None):
    """Raises TypeError if the key is encrypted and there is no pass-phrase."""
    if passphrase:
        try:
            return load(data, passphrase)
        except TypeError:  # the key is not encrypted
            pass
    return load(data, None)


def read_passphrase(file: Path | None) -> bytes | None:
    """The pass-phrase: the file's first line or, without a file, the environment variable's value.

    None if neither is given. Raises ToolError if the file cannot be read or is empty, or if the
    pass-phrase is too long.
    """
    if file is None:
        source = PASSPHRASE_VARIABLE
        text = os.fsencode(os.environ.get(PASSPHRASE_VARIABLE, ""))
    else:
        source = str(file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ToolError(
                f"cannot read the pass-phrase from {file}: {error.strerror}"
            ) from error
        if data.startswith(tuple(MARKS)):  # Notepad and PowerShell write UTF-16
            data = decode(data).encode()
        text = data.partition(b"\n")[0].rstrip(b"\r")
        if not text:
            raise ToolError(f"{file} has no pass-phrase: write it into the first line")
    if len(text) > PASSPHRASE_LIMIT:
        raise ToolError(
            f"the pass-phrase in {source} is longer than {PASSPHRASE_LIMIT} bytes: shorten it"
        )
    return text or None
