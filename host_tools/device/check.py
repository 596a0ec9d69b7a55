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
from microdps.protocol.url import split_host

from .. import ToolError, boards
from ..certs import rules
from ..certs.reading import load_certs, public_key, signed_by
from ..certs.slots import slot_folder
from . import app_memory, mbedtls
from .roots import AZURE_HOST, AZURE_ROOTS

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
    findings: list[Finding] = []
    settings: dict = {}
    ignored: list[str] = []
    try:
        settings = config.load(str(folder / "config.json"), ignored.append)
    except Error as error:
        findings.append(Finding(True, str(error)))
    findings += [Finding(False, f"the board prints this, and goes on: {text}") for text in ignored]
    findings += _settings(settings, board)
    try:
        identity = Identity.from_files(str(slot_folder(folder, slot)))
        chain = [x509.load_der_x509_certificate(cert) for cert in identity.certs("cert")]
        roots = [x509.load_der_x509_certificate(root) for root in identity.certs("roots")]
    except Error as error:
        return [*findings, Finding(True, str(error))]
    except ValueError:
        text = f"{folder}: a certificate is damaged: make or convert it again"
        return [*findings, Finding(True, text)]
    findings += of_chain(chain, settings.get("registration_id"), board)
    if board:
        findings += _memory(folder, board, settings.get("outbox", "never"))
    if enrolled:
        findings += _enrolled(chain, enrolled)
    findings += of_roots(roots, settings.get("host"))
    findings += _tls(identity, chain, roots)
    return findings


def of_chain(
    chain: list[x509.Certificate],
    registration_id: str | None,
    board: boards.Board | None = None,
) -> Iterator[Finding]:
    """What DPS or a board would refuse in a device's chain, and what may cost time later."""
    yield from _leaf(chain[0], registration_id)
    yield from _key(chain[0], board)
    yield from _dates(chain)
    yield from (Finding(True, text) for text in rules.chain_problems(chain))


def _settings(settings: dict, board: boards.Board | None) -> Iterator[Finding]:
    if not settings:
        return
    if warning := rules.id_scope_warning(settings["id_scope"]):
        yield Finding(False, warning)
    if not board:
        return
    if not settings["wifi"]:
        text = "config.json has no wifi, so a board cannot join a network: give --wifi-ssid"
        yield Finding(True, text)
    host = split_host(settings["host"])[0].lower()
    if host == "localhost" or host.startswith("127."):
        yield Finding(
            True,
            f"host is {settings['host']!r}, which is the board itself on a board: give --roots"
            " azure for DPS, or --host with this computer's name or address for the simulator",
        )
    if settings["messages"]:
        yield Finding(
            False,
            f"messages is {settings['messages']}: the board sends so many and then stops, until"
            " it is reset; --messages 0 lets it send for ever",
        )


def _leaf(leaf: x509.Certificate, registration_id: str | None) -> Iterator[Finding]:
    problems = [rules.usage_problem(leaf)]
    if registration_id:
        problems.insert(0, rules.name_problem(leaf, registration_id))
    yield from (Finding(True, text) for text in problems if text)
    problem = rules.leaf_problem(leaf)
    if problem and problem not in problems:
        yield Finding(False, problem)


def _key(leaf: x509.Certificate, board: boards.Board | None) -> Iterator[Finding]:
    key = public_key(leaf)
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


def _memory(folder: Path, board: boards.Board, outbox: str) -> Iterator[Finding]:
    try:
        size = app_memory.code_size(folder)
    except ToolError as error:
        yield Finding(True, str(error))
        return
    left = board.gc_heap - app_memory.TAKEN
    if outbox != "never":
        left -= app_memory.OUTBOX
    if size > left and not board.psram:
        yield Finding(
            False,
            f"app.py and the modules beside it need about {size // 1024 + 1} KB of memory, and"
            f" {board.name} has {left // 1024} KB for them: the board may lack memory for TLS;"
            " make them smaller, or watch 'microdps status'",
        )


def _dates(certs: list[x509.Certificate]) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.UTC)
    for cert in certs:
        if problem := rules.date_problem(cert, now):
            yield Finding(True, problem)
        elif cert.not_valid_after_utc < now + EXPIRES_SOON:
            name = cert.subject.rfc4514_string()
            yield Finding(False, f"{name} expires on {cert.not_valid_after_utc:%F}: renew it soon")


def _enrolled(chain: list[x509.Certificate], enrolled: Path) -> Iterator[Finding]:
    """Does the chain reach the enrolled certificate?"""
    wanted = rules.lowest(load_certs(enrolled))
    if wanted in chain:
        if chain.index(wanted) and (problem := rules.ca_problem(wanted)):
            yield Finding(True, problem)
        return
    if any(signed_by(cert, wanted) for cert in chain):
        advice = (
            f"add it with 'microdps certs convert full-chain.pem --key key.pem --issuer {enrolled}"
            " --out FOLDER', or make the certificate with 'microdps certs chain --with-root'; then"
            " 'microdps config --identity FOLDER'"
        )
    else:
        advice = "enroll the device's own certificate or one of its issuers"
    yield Finding(
        True,
        f"cert.der has no certificate of {enrolled}: DPS refuses that with 401002; {advice}",
    )


def of_roots(roots: list[x509.Certificate], host: str | None) -> Iterator[Finding]:
    """Which servers a board could not verify with these roots. host: of DPS."""
    thumbprints = {root.fingerprint(hashes.SHA256()).hex() for root in roots}
    if host and host.lower().endswith(AZURE_HOST) and not thumbprints >= set(AZURE_ROOTS):
        yield Finding(
            True,
            f"roots.der lacks a root of {host} and its hubs: write it with 'microdps config"
            " --roots azure'",
        )
    for root in roots:
        if problem := rules.date_problem(root):
            yield Finding(True, f"roots.der: {problem.removesuffix(': renew it')}")


def _tls(
    identity: Identity, chain: list[x509.Certificate], roots: list[x509.Certificate]
) -> Iterator[Finding]:
    """Try the identity with the TLS that a board has."""
    parts = identity.part("key"), list(identity.certs("cert")), list(identity.certs("roots"))
    try:
        refused = mbedtls.refusals(*parts)
    except ToolError as error:
        text = f"this was not tried with a board's TLS, which refuses some certificates: {error}"
        yield Finding(False, text)
        return
    yield from (Finding(True, text) for text in mbedtls.texts(refused, chain, roots))
