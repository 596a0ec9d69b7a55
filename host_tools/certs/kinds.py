"""Name the kind of a file that is neither a certificate nor a key, and say what to do with it."""

import re
from pathlib import Path

from ..text_files import json_query
from .blocks import CERTIFICATE, CUT_OFF, KEY_LABELS, PFX, UNKNOWN, Block

# Label → the kind in words, and what to do. {path}: the file.
KINDS = {
    CERTIFICATE: ("a certificate", "give the file with the private key that belongs to it"),
    "CERTIFICATE REQUEST": (
        "a certificate request (CSR)",
        "let your CA sign it, for example with 'openssl x509 -req -in {path} -CA ca.cert.pem"
        " -CAkey ca.key.pem -days 365 -out device.cert.pem'",
    ),
    "PKCS7": (
        "a PKCS#7 bundle (.p7b)",
        "take out its certificates with 'openssl pkcs7{inform} -in {path} -print_certs -out"
        " chain.pem'",
    ),
    "X509 CRL": ("a list of revoked certificates (CRL)", "give the certificate's own file"),
    "PUBLIC KEY": ("a public key alone", "give the file with the certificate or private key"),
    "EC PARAMETERS": ("a file of parameters", "give the file with the certificate or key"),
    "DH PARAMETERS": ("a file of parameters", "give the file with the certificate or key"),
    "DSA PRIVATE KEY": ("a DSA key", "make an RSA or EC key"),
    PFX: ("a PKCS#12 file without a certificate or key", "export it again, with both of them"),
    CUT_OFF: ("cut off or damaged", "copy the whole file again"),
}
A_KEY = ("a private key", "give the file with the certificate, and the key with --key")

# Kinds that never have a private key.
WITHOUT_KEY = {"CERTIFICATE REQUEST", "PKCS7", "X509 CRL", "PUBLIC KEY"}

# The beginning of a file → the same.
BEGINNINGS = {
    rb"\s*$": ("empty", "copy the file again"),
    rb"PuTTY-User-Key": ("a PuTTY key", "export it from PuTTYgen as an OpenSSH key"),
    rb"(ssh|ecdsa)-[\w@.-]+ AAAA": ("an SSH public key", "give the private key's file"),
    rb"\xfe\xed\xfe\xed": (
        "a Java key store",
        "convert it with 'keytool -importkeystore -srckeystore {path} -destkeystore device.pfx"
        " -deststoretype PKCS12'",
    ),
    rb"PK\x03\x04": ("a ZIP archive", "unpack it first"),
    rb"\s*<": ("HTML or XML", "download the file itself"),
    rb"\W*[\w ]*=?\W*(HostName|Endpoint)=": (
        "a connection string",
        "give it to 'microdps enroll' with --connection-string-file",
    ),
}


def wrong_kind(path: Path, block: Block, wanted: str = "certificate") -> str:
    """Why a file is not the expected one, and what to do: "it is …: …".

    wanted  "certificate" or "key"
    """
    name, advice = _kind(block)
    if wanted == "key" and block.label in WITHOUT_KEY:
        advice = "give the file with the private key that belongs to the certificate"
    inform = "" if b"-----BEGIN" in path.read_bytes() else " -inform DER"
    return f"it is {name}: {advice.format(path=path, inform=inform)}"


def _kind(block: Block) -> tuple[str, str]:
    if block.label in KEY_LABELS:
        return A_KEY
    if block.label != UNKNOWN:
        name = f"PEM of the kind {block.label!r}"
        return KINDS.get(block.label, (name, "give the file with the certificate or key"))
    query = json_query(block.content.decode(errors="replace"), _looks_like_pem)
    if query is not None:
        options = f"--query {query or 'FIELD'} --output tsv"
        return (
            "JSON, as the Azure CLI prints it",
            f"run the same 'az' command again with {options}, and save what it prints",
        )
    for beginning, kind in BEGINNINGS.items():
        if re.match(beginning, block.content):
            return kind
    return "not PEM, DER or PKCS#12", "give the file with the certificate or key"


def _looks_like_pem(text: str) -> bool:
    return bool(re.match(r"-----BEGIN|LS0tLS1CRUdJTi|MI[A-Za-z0-9+/]{100}", text))
