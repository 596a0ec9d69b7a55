"""microdps check: before anything is flashed, what would fail on the board later, and why.

Reads a device's folder, as 'microdps config' makes it. One line a finding; exit code 1 if a board
would fail.
"""

import argparse
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from host_tools import ToolError, app_memory, boards
from host_tools.certs import common_name, for_clients, load_certs, signed_by
from host_tools.config import AZURE_ROOTS, add_device, slot_folder
from microdps.errors import Error
from microdps.identity import Identity
from microdps.program import config

AZURE = ".azure-devices-provisioning.net"

SOON = datetime.timedelta(days=30)  # as microdps.program.cycle says it


@dataclass
class Finding:
    """What is wrong, or worth knowing, and what to do."""

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
    """What a board with this folder would meet → findings, none if all is well.

    enrolled  the certificate that the enrollment has: the device's own, or an issuer's
    board     what it is meant for, if that is known
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
        text = f"{folder}: a certificate cannot be read ({error}): convert it anew"
        findings.append(Finding(True, text))
        return findings
    findings += _leaf(chain[0], settings.get("registration_id"), board)
    if board and settings and not settings["wifi"]:
        text = "config.json has no wifi, and a board joins no network without: give --wifi-ssid"
        findings.append(Finding(True, text))
    if board:
        findings += _memory(folder, board)
    findings += _chain(chain, enrolled)
    findings += _roots(roots, settings.get("host"))
    return findings


def _leaf(
    leaf: x509.Certificate, registration_id: str | None, board: boards.Board | None
) -> Iterator[Finding]:
    name = common_name(leaf)
    if registration_id and name.lower() != registration_id.lower():
        yield Finding(
            True,
            f"the certificate's common name is {name!r}, the registration ID {registration_id!r}:"
            " DPS refuses that with 401002; make one of them as the other",
        )
    try:
        usable = for_clients(leaf)
    except ValueError as error:
        yield Finding(True, f"the certificate's extensions cannot be read ({error}): make it anew")
    else:
        if not usable:
            yield Finding(
                True,
                "the certificate's extended key usage has no clientAuth: make it anew with it",
            )
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        ms = board.rsa_ms.get(key.key_size) if board else None
        costs = f"up to {ms / 1000} s on {board.name}" if board and ms else "a board seconds"
        yield Finding(
            False,
            f"an RSA key of {key.key_size} bits costs {costs} in each handshake: EC P-256 is"
            " quicker",
        )
    elif not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in (
        "secp256r1",
        "secp384r1",
    ):
        yield Finding(True, "the key is neither RSA nor EC P-256 or P-384: make another")


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
            f"app.py and the modules beside it hold some {size // 1024 + 1} kB, and {board.name}"
            f" has {left // 1024} kB left for them: the board may run out of memory for TLS; make"
            " them smaller, or see what 'microdps status' shows",
        )


def _chain(chain: list[x509.Certificate], enrolled: Path | None) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.UTC)
    for cert in chain:
        who = cert.subject.rfc4514_string()
        if cert.not_valid_before_utc > now:
            yield Finding(True, f"{who} is valid from {cert.not_valid_before_utc:%F %R} UTC only")
        elif cert.not_valid_after_utc < now:
            yield Finding(True, f"{who} has expired on {cert.not_valid_after_utc:%F}: renew it")
        elif cert.not_valid_after_utc < now + SOON:
            yield Finding(False, f"{who} expires on {cert.not_valid_after_utc:%F}: renew it soon")
    for cert, issuer in zip(chain, chain[1:], strict=False):
        if not signed_by(cert, issuer):
            yield Finding(
                True,
                f"{cert.subject.rfc4514_string()} is not signed by"
                f" {issuer.subject.rfc4514_string()}, which follows it in cert.der: put the"
                " issuers in their order, the leaf's first",
            )
    if enrolled:
        wanted = load_certs(enrolled)
        if not any(cert in wanted for cert in chain):
            yield Finding(
                True,
                f"no certificate in cert.der is the one in {enrolled}: DPS refuses that with"
                " 401002; put every issuer up to it into cert.der",
            )


def _roots(roots: list[x509.Certificate], host: str | None) -> Iterator[Finding]:
    held = {root.fingerprint(hashes.SHA256()).hex() for root in roots}
    if host and host.lower().endswith(AZURE) and not held >= set(AZURE_ROOTS):
        yield Finding(
            True,
            f"roots.der lacks a root that {host} and its hubs lead to: write it with"
            " 'microdps config --roots azure'",
        )
    now = datetime.datetime.now(datetime.UTC)
    for root in roots:
        if root.not_valid_after_utc < now:
            yield Finding(True, f"the root {root.subject.rfc4514_string()} has expired")


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "check",
        help="say what would fail on the board, before it is flashed",
        description=__doc__,
        epilog="example: microdps check device --enrolled certs/intermediate.cert.pem",
    )
    add_device(verb)
    verb.add_argument(
        "--enrolled", type=Path, help="the certificate that the enrollment has, PEM or DER"
    )
    verb.add_argument("--board", metavar="BOARD", help="that it is meant for")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> int:
    board = boards.load(args.board) if args.board else None
    findings = check(args.folder, args.slot, args.enrolled, board)
    for finding in findings:
        print(finding)
    if any(finding.fatal for finding in findings):
        return 1
    print(f"{args.folder}: a board can use this")
    return 0
