"""microdps config: write and check what tells one device from another.

In the device's folder, which is what its file system will hold: config.json, and identity/a (or b)
with key.der, cert.der and roots.der.
"""

import argparse
import contextlib
import getpass
import hashlib
import json
import os
import re
import ssl
import sys
from pathlib import Path

import certifi
from cryptography import x509

from host_tools import ToolError
from host_tools.certs import der, load_certs, write_new
from microdps.errors import Error, IdentityError
from microdps.identity import Identity
from microdps.program import config as device_config

WIFI_PASSWORD = "MICRODPS_WIFI_PASSWORD"  # noqa: S105  the variable's name
SLOTS = ("a", "b")
PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

# What Azure's servers lead to, by SHA-256 thumbprint: DigiCert Global Root G2 and Microsoft RSA
# Root Certificate Authority 2017 (Azure documentation, "TLS support in DPS").
AZURE_ROOTS = (
    "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
)


def write_config(folder: Path, changes: dict) -> dict:
    """Write config.json, the given keys changed and the others kept → all of its keys.

    Raises ConfigError, and nothing is written, if the whole is not valid.
    """
    path = folder / "config.json"
    before = {}
    if path.exists():
        try:
            before = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ToolError(f"{path} is no JSON: mend it, or delete it") from error
        if not isinstance(before, dict):
            raise ToolError(f"{path} is no JSON object: mend it, or delete it")
    after = {**before, **changes}
    checked = device_config.check(after, str(path))
    write_new(folder, {path.name: (json.dumps(after, indent=2) + "\n").encode()}, force=True)
    return checked


def roots(source: str) -> bytes:
    """The trusted roots as the device reads them: "azure", or those of a PEM or DER file."""
    if source != "azure":
        return der(*load_certs(Path(source)))
    # Not all of certifi's are read as certificates: some draw warnings.
    found = {
        hashlib.sha256(cert).hexdigest(): cert
        for cert in map(ssl.PEM_cert_to_DER_cert, PEM.findall(Path(certifi.where()).read_text()))
    }
    missing = [thumbprint for thumbprint in AZURE_ROOTS if thumbprint not in found]
    if missing:
        raise ToolError(f"certifi has no root {missing[0]}: install another version of certifi")
    return b"".join(found[thumbprint] for thumbprint in AZURE_ROOTS)


def slot_folder(folder: Path, slot: str) -> Path:
    """Where an identity lies in a device's folder."""
    return folder / "identity" / slot


def write_identity(
    folder: Path, certs: Path | None, roots_source: str | None, slot: str = "a"
) -> None:
    """Write the parts that are given into a slot: key and chain, roots. A slot without roots gets
    those of the other one. Raises ToolError."""
    files = {}
    if certs:
        for name in ("key.der", "cert.der"):
            try:
                files[name] = (certs / name).read_bytes()
            except OSError as error:
                raise ToolError(f"cannot read {certs / name}: {error.strerror}") from error
    if roots_source:
        files["roots.der"] = roots(roots_source)
    place = slot_folder(folder, slot)
    if not roots_source and not (place / "roots.der").exists():
        for other in SLOTS:
            path = slot_folder(folder, other) / "roots.der"
            if path.exists():
                files["roots.der"] = path.read_bytes()
    write_new(place, files, force=True)


def add_device(verb) -> None:
    """The arguments of a verb that reads a device's folder."""
    verb.add_argument("folder", type=Path, help="device's folder, as 'microdps config' makes it")
    verb.add_argument("--slot", choices=SLOTS, default="a", help="identity (%(default)s)")


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "config",
        help="write and check a device's configuration",
        description="Write and check config.json and an identity in a device's folder. What is not"
        " given stays as it is.",
        epilog="example: microdps config --out device --identity certs/device-01 --roots azure"
        " --id-scope 0ne00111111 --registration-id device-01 --wifi-ssid home",
    )
    verb.add_argument("--out", type=Path, default=Path("device"), help="folder (%(default)s)")
    verb.add_argument("--id-scope", help="of the DPS instance")
    verb.add_argument("--registration-id", help="the certificate's common name")
    verb.add_argument("--host", help=f"of DPS ({device_config.KEYS['host'][1]})")
    verb.add_argument(
        "--wifi-ssid", help=f"the password comes from ${WIFI_PASSWORD}, or is asked for"
    )
    verb.add_argument("--interval-s", type=float, help="seconds between two messages")
    verb.add_argument("--messages", type=int, help="messages to send; 0: for ever")
    verb.add_argument(
        "--transport", choices=device_config.TRANSPORTS, help="how messages go to the hub (auto)"
    )
    verb.add_argument("--log", choices=device_config.LOGS, help="what the device prints")
    verb.add_argument("--identity", type=Path, help="folder with key.der and cert.der")
    verb.add_argument(
        "--slot",
        choices=SLOTS,
        default="a",
        help="where the identity lies: b for the one that follows the first (%(default)s)",
    )
    verb.add_argument("--roots", help="'azure', or a file with the trusted roots")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    keys = ("id_scope", "registration_id", "host", "interval_s", "messages", "transport", "log")
    changes = {key: getattr(args, key) for key in keys if getattr(args, key) is not None}
    if args.wifi_ssid is not None:
        changes["wifi"] = {"ssid": args.wifi_ssid, "password": _wifi_password()}
    write_config(args.out, changes)
    write_identity(args.out, args.identity, args.roots, args.slot)
    try:
        identity = Identity.from_files(str(slot_folder(args.out, args.slot)))
        leaf = _readable(list(identity.certs("cert")), identity.name("cert"))[0]
        _readable(list(identity.certs("roots")), identity.name("roots"))
    except Error as error:
        raise ToolError(f"config.json is good, the identity is not: {error}") from error
    until = f"{leaf.not_valid_after_utc:%F}"
    print(f"{args.out}: ready, {leaf.subject.rfc4514_string()} until {until}")


def _readable(certs: list, name: str) -> list[x509.Certificate]:
    """The device itself looks at no more than their lengths. Raises IdentityError."""
    try:
        return [x509.load_der_x509_certificate(cert) for cert in certs]
    except ValueError as error:
        raise IdentityError("unreadable", name) from error


def _wifi_password() -> str:
    given = os.environ.get(WIFI_PASSWORD)
    if given is not None:
        return given
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            return getpass.getpass("Wi-Fi password: ")
    raise ToolError(f"no Wi-Fi password: set {WIFI_PASSWORD}, or type it at a terminal")
