"""Find the certificates and keys in a file, in every form in which people have them.

PEM with text, blanks, quotes or a byte order mark around it; DER, one object or several; bare
base64, also of PEM; PKCS#12 (.pfx). kinds.py names all other kinds of files.
"""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_der_public_key,
    pkcs12,
)

from microdps.errors import IdentityError
from microdps.identity import header

from .. import ToolError
from ..text_files import QUOTES, decode

CERTIFICATE = "CERTIFICATE"
KEY_LABELS = {
    "PRIVATE KEY",
    "EC PRIVATE KEY",
    "RSA PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
}

# Labels for what has none in PEM.
PFX = "PKCS12"
CUT_OFF = "CUT OFF"
UNKNOWN = "UNKNOWN"

# OpenSSL's other labels of a certificate. A trusted one has more data after the certificate.
ALIASES = {"X509 CERTIFICATE": CERTIFICATE, "TRUSTED CERTIFICATE": CERTIFICATE, "CMS": "PKCS7"}
ALIASES |= {"NEW CERTIFICATE REQUEST": "CERTIFICATE REQUEST", "PKCS #7 SIGNED DATA": "PKCS7"}

# The beginning of all object identifiers of PKCS#7 (RFC 2315): 1.2.840.113549.1.7.
PKCS7_OID = bytes.fromhex("06092a864886f70d0107")

PEM = re.compile(r"-----BEGIN ([A-Z0-9# ]+)-----(.*?)-----END \1-----", re.DOTALL)
BASE64 = re.compile(r"[A-Za-z0-9+/\s]{60,}={0,2}\s*")

# The exceptions of cryptography's loaders. TypeError: a key is encrypted.
LOAD_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass
class Block:
    """An object of a file.

    label    as PEM names it, or one of the constants above
    content  DER; the PEM text of a key
    """

    label: str
    content: bytes


def read_blocks(path: Path, passphrase: Callable[[], bytes | None]) -> list[Block]:
    """All objects of a file, at least one.

    passphrase  returns the pass-phrase for a PKCS#12 file; called only if there is one
    Raises OSError if the file cannot be read, ToolError if a PKCS#12 file does not open.
    """
    blocks = list(_blocks(path.read_bytes()))
    for block in blocks:
        if block.label == PFX:
            return _pfx_blocks(path, block.content, passphrase())
    return blocks


def _blocks(data: bytes) -> Iterator[Block]:
    text = decode(data).replace("\\r", "").replace("\\n", "\n")
    if "-----BEGIN" in text:
        yield from _pem_blocks(text)
        return
    if data[:1] == b"\x30" and (b"\0" in data or not data.isascii()):
        yield from _der_blocks(data)
        return
    bare = text.strip().strip(QUOTES)
    if BASE64.fullmatch(bare):
        try:
            yield from _blocks(base64.b64decode("".join(bare.split()), validate=True))
            return
        except ValueError:
            pass
    yield Block(UNKNOWN, text.encode("latin-1", "replace"))


def _pem_blocks(text: str) -> Iterator[Block]:
    found = PEM.findall(text)
    for label, body in found:
        label = ALIASES.get(label, label)
        lines = [line.strip(QUOTES + "\t\r\n >,;") for line in body.strip().splitlines()]
        headers = [line for line in lines if ":" in line]
        # Where a shell has made one line of all, there are blanks in it.
        lines = " ".join(line for line in lines if ":" not in line).split()
        if label in KEY_LABELS:
            # An old encrypted key has headers, and an empty line after them.
            yield Block(label, _pem(label, [*headers, "", *lines] if headers else lines))
        elif label != "EC PARAMETERS" or len(found) == 1:  # openssl writes them before a key
            yield _pem_object(label, "".join(lines))
    if text.count("-----BEGIN") > len(found):
        yield Block(CUT_OFF, b"")


def _pem_object(label: str, body: str) -> Block:
    try:
        der = base64.b64decode(body, validate=True)
        if label == CERTIFICATE:
            der = der[: header(der, 0, "")[1]]
    except (ValueError, IdentityError):
        return Block(CUT_OFF, b"")
    return Block(label, der)


def _pem(label: str, lines: list[str]) -> bytes:
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _der_blocks(data: bytes) -> Iterator[Block]:
    """The objects of a file with one DER object after the other."""
    at = 0
    while data[at:].strip(b"\r\n \0"):
        try:
            end = header(data, at, "")[1]
        except IdentityError:
            yield Block(UNKNOWN, data)
            return
        if end > len(data):
            yield Block(CUT_OFF, b"")
            return
        yield _der_block(data[at:end])
        at = end


def _der_block(der: bytes) -> Block:
    begin = header(der, 0, "")[0]
    if der[begin : begin + 3] == b"\2\1\3":
        return Block(PFX, der)
    if der[begin:].startswith(PKCS7_OID):
        return Block("PKCS7", der)
    try:
        key = load_der_private_key(der, None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Block("PRIVATE KEY", pem)
    except TypeError:
        body = base64.encodebytes(der).decode().splitlines()
        return Block("ENCRYPTED PRIVATE KEY", _pem("ENCRYPTED PRIVATE KEY", body))
    except LOAD_ERRORS:
        pass
    for label, load in (
        (CERTIFICATE, x509.load_der_x509_certificate),
        ("CERTIFICATE REQUEST", x509.load_der_x509_csr),
        ("X509 CRL", x509.load_der_x509_crl),
        ("PUBLIC KEY", load_der_public_key),
    ):
        try:
            load(der)  # type: ignore[operator]
            return Block(label, der)
        except LOAD_ERRORS:
            continue
    return Block(UNKNOWN, der)


def _pfx_blocks(path: Path, data: bytes, passphrase: bytes | None) -> list[Block]:
    """The key, its certificate and the chain of a PKCS#12 file. Raises ToolError."""
    for secret in dict.fromkeys((passphrase, None, b"")):
        try:
            pfx = pkcs12.load_pkcs12(data, secret)
            break
        except LOAD_ERRORS:
            continue
    else:
        if passphrase:
            raise ToolError(
                f"the PKCS#12 file {path} does not open: check the pass-phrase in"
                " MICRODPS_KEY_PASSPHRASE or --passphrase-file"
            )
        raise ToolError(
            f"{path} is a PKCS#12 file (.pfx), encrypted with a pass-phrase: set"
            " MICRODPS_KEY_PASSPHRASE, or give --passphrase-file"
        )
    blocks = []
    if pfx.key:
        pem = pfx.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        blocks.append(Block("PRIVATE KEY", pem))
    for one in ([pfx.cert] if pfx.cert else []) + pfx.additional_certs:
        blocks.append(Block(CERTIFICATE, one.certificate.public_bytes(Encoding.DER)))
    return blocks or [Block(PFX, data)]
