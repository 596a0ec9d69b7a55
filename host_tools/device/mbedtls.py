"""Try a device's identity with Mbed TLS, in the MicroPython that is installed on this computer.

The same TLS is on a board. It refuses certificates that OpenSSL takes.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from .. import ToolError, interpreter
from ..certs.rules import name_of
from ..certs.tls_reasons import refusal_reasons

TIMEOUT_S = 30
HEAP = "1M"  # for the hex text of all files

# MicroPython's own exceptions say little: "invalid cert". So each part is tried alone.
CODE = """
import binascii, json, sys, tls

def attempt(name, call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        print(name, error)

given = json.load(sys.stdin)
key = binascii.unhexlify(given["key"])
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
for part, load in (("cert", lambda der: context.load_cert_chain(der, key)),
                   ("roots", context.load_verify_locations)):
    for number, text in enumerate(given[part]):
        attempt("%s %d" % (part, number), load, binascii.unhexlify(text))
print("tried")
"""


@dataclass
class Refusal:
    """A part of an identity that Mbed TLS refuses. part: "key", "cert" or "roots"."""

    part: str
    number: int


def refusals(key: bytes, chain: list[bytes], roots: list[bytes]) -> list[Refusal]:
    """What Mbed TLS refuses of an identity, all in DER.

    Raises ToolError if there is no MicroPython to try it with.
    """
    given = {"key": key.hex(), "cert": [c.hex() for c in chain], "roots": [c.hex() for c in roots]}
    command = [*interpreter.micropython(HEAP).command, "-c", CODE]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, timeout=TIMEOUT_S
    )
    lines = done.stdout.splitlines()
    if lines[-1:] != ["tried"]:
        raise ToolError(f"MicroPython ended with code {done.returncode}")
    found = []
    for line in lines[:-1]:
        part, number, text = line.split(" ", 2)
        found.append(Refusal("key" if "key" in text else part, int(number)))
    # A key that is refused is refused with each certificate.
    return [one for one in found if one.part != "key"] + [
        one for one in found if one.part == "key"
    ][:1]


def texts(
    found: list[Refusal], chain: list[x509.Certificate], roots: list[x509.Certificate]
) -> Iterator[str]:
    """A sentence for each refusal, with the extension, algorithm or encoding, and what to do."""
    for one in found:
        if one.part == "key":
            yield (
                "the board's TLS refuses key.der: it has explicit EC parameters, or is of a kind"
                " that Mbed TLS does not know; make a new key with a named curve"
            )
            continue
        cert = (chain if one.part == "cert" else roots)[one.number]
        why = "; ".join(refusal_reasons(cert)) or "an encoding in it is unknown to it"
        place = "roots.der" if one.part == "roots" else "cert.der"
        yield (
            f"the board's TLS (Mbed TLS) refuses the certificate of {name_of(cert)!r} in {place}:"
            f" {why}; make this certificate anew without it"
        )
