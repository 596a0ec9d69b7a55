"""Check a device's folder: what would fail on the board later, and why.

Nothing is flashed, and no server is asked.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config

from .. import ToolError, boards
from ..certs.reading import allows_client_auth, common_name, load_certs, signed_by
from ..certs.slots import slot_folder
from . import app_memory
from .roots import AZURE_ROOTS

AZURE_HOST = ".azure-devices-provisioning.net"

EXPIRES_SOON = datetime.timedelta(days=30)  # as microdps.program.cycle


@dataclass
class Finding:
    """A problem, and what to do about it. fatal: a board would fail."""

    fatal: bool
    text: str

    def __str__(self) -> str:
        return f"{'error' if self.fatal else 'note'}: {self.text}"


def check(
    folder: Path,
    slot: str = "a",
    enrolled: Path | None = None,
    board: boards.Board | None = None,
) -> list[Finding]:
    """Find what would go wrong on a board with this folder; an empty list if nothing would.

    enrolled  file with the certificate of the enrollment: the device's own, or an issuer's
    board     the board that will get the folder, if it is known
    """
    findings = []
    settings: dict = {}
    try:
        settings = config.load(str(folder / "config.json"))
    except Error as error:
        findings.append(Finding(True, str(error)))
    try:
        identity = Identity.from_files(str(slot_folder(folder, slot)))
        chain = [x509.load_der_x509_certificate(cert) for cert in identity.certs("cert")]
        roots = [x509.load_der_x509_certificate(root) for root in identity.certs("roots")]
    except Error as error:
        findings.append(Finding(True, str(error)))
        return findings
    except ValueError as error:
        text = f"{folder}: a certificate cannot be read ({error}): convert it again"
        findings.append(Finding(True, text))
        return findings
    findings += _leaf(chain[0], settings.get("registration_id"))
    findings += _key(chain[0], board)
    if board and settings and not settings["wifi"]:
        text = "config.json has no wifi, so a board cannot join a network: give --wifi-ssid"
        findings.append(Finding(True, text))
    if board:
        findings += _memory(folder, board)
    findings += _dates(chain)
    findings += _issuers(chain, enrolled)
    findings += _roots(roots, settings.get("host"))
    return findings


def _leaf(leaf: x509.Certificate, registration_id: str | None) -> Iterator[Finding]:
    name = common_name(leaf)
    if registration_id and name.lower() != registration_id.lower():
        yield Finding(
            True,
            f"the certificate's common name is {name!r}, and the registration ID is"
            f" {registration_id!r}: DPS refuses that with 401002; make them equal",
        )
    try:
        usable = allows_client_auth(leaf)
    except ValueError as error:
        yield Finding(
            True, f"the certificate's extensions cannot be read ({error}): make a new certificate"
        )
    else:
        if not usable:
            yield Finding(
                True,
                "the certificate's extended key usage has no clientAuth: make a new certificate"
                " with it",
            )


def _key(leaf: x509.Certificate, board: boards.Board | None) -> Iterator[Finding]:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        ms = board.rsa_ms.get(key.key_size) if board else None
        costs = f"up to {ms / 1000} s on {board.name}" if board and ms else "a board seconds"
        yield Finding(
            False,
            f"an RSA key of {key.key_size} bits costs {costs} in each handshake: EC P-256 is"
            " faster",
        )
    elif not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in (
        "secp256r1",
        "secp384r1",
    ):
        yield Finding(True, "the key is neither RSA nor EC P-256 or P-384: make another key")


def _memory(folder: Path, board: boards.Board) -> Iterator[Finding]:
    try:
        size = app_memory.code_size(folder)
    except ToolError as error:
        yield Finding(True, str(error))
        return
    left = board.gc_heap - app_memory.TAKEN
    if size > left and not board.psram:
        yield Finding(
            False,
            f"app.py and the modules beside it need about {size // 1024 + 1} KB of memory, and"
            f" {board.name} has {left // 1024} KB for them: the board may lack memory for TLS;"
            " make them smaller, or watch 'microdps status'",
        )


def _dates(chain: list[x509.Certificate]) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.UTC)
    for cert in chain:
        name = cert.subject.rfc4514_string()
        if cert.not_valid_before_utc > now:
            yield Finding(True, f"{name} becomes valid on {cert.not_valid_before_utc:%F %R} UTC")
        elif cert.not_valid_after_utc < now:
            yield Finding(True, f"{name} expired on {cert.not_valid_after_utc:%F}: renew it")
        elif cert.not_valid_after_utc < now + EXPIRES_SOON:
            yield Finding(False, f"{name} expires on {cert.not_valid_after_utc:%F}: renew it soon")


def _issuers(chain: list[x509.Certificate], enrolled: Path | None) -> Iterator[Finding]:
    for cert, issuer in zip(chain, chain[1:], strict=False):
        if not signed_by(cert, issuer):
            yield Finding(
                True,
                f"{cert.subject.rfc4514_string()} is not signed by"
                f" {issuer.subject.rfc4514_string()}, which follows it in cert.der: put the"
                " issuers in their order, the leaf's first",
            )
    if enrolled:
        accepted = load_certs(enrolled)
        if not any(cert in accepted for cert in chain):
            yield Finding(
                True,
                f"cert.der has no certificate of {enrolled}: DPS refuses that with 401002; put"
                " every issuer up to the enrolled one into cert.der",
            )


def _roots(roots: list[x509.Certificate], host: str | None) -> Iterator[Finding]:
    thumbprints = {root.fingerprint(hashes.SHA256()).hex() for root in roots}
    if host and host.lower().endswith(AZURE_HOST) and not thumbprints >= set(AZURE_ROOTS):
        yield Finding(
            True,
            f"roots.der lacks a root of {host} and its hubs: write it with 'microdps config"
            " --roots azure'",
        )
    now = datetime.datetime.now(datetime.UTC)
    for root in roots:
        if root.not_valid_after_utc < now:
            yield Finding(True, f"the root {root.subject.rfc4514_string()} has expired")
