"""Write and check a device's folder: config.json, and an identity in identity/a or identity/b.

The folder has the same layout as the device's file system.
"""

import contextlib
import getpass
import json
import os
import sys
from pathlib import Path

from cryptography import x509

from microdps.errors import Error, IdentityError
from microdps.identity import Identity
from microdps.program import config as device_config

from .. import ToolError
from ..certs.slots import SLOTS, slot_folder
from ..files import write_files
from ..text_files import decode
from .defaults import WIFI_PASSWORD_VARIABLE
from .roots import AZURE_HOST, load_roots

# A file beside config.json: the certificate folders from which the keys were copied, so that
# `flash --delete-keys` finds all copies.
SOURCES = "made-from.txt"


def read_config(folder: Path) -> dict:
    """config.json as it lies there, unchecked; empty if there is none. Raises ToolError."""
    path = folder / "config.json"
    if not path.exists():
        return {}
    try:
        before = json.loads(decode(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ToolError(f"{path} is not JSON: correct it, or delete it") from error
    if not isinstance(before, dict):
        raise ToolError(f"{path} is not a JSON object: correct it, or delete it")
    return before


def write_config(folder: Path, changes: dict) -> dict:
    """Change keys of config.json, and keep all others → all keys, with the defaults.

    Raises ToolError if the old file is not JSON. Raises ConfigError, and writes nothing, if the
    result is not valid.
    """
    path = folder / "config.json"
    after = {**read_config(folder), **changes}
    checked = device_config.check(after, str(path))
    write_files(folder, {path.name: encode_config(after)}, force=True)
    return checked


def encode_config(settings: dict) -> bytes:
    """The content of config.json."""
    return (json.dumps(settings, indent=2) + "\n").encode()


def kept_settings(folder: Path, changes: dict) -> str:
    """The settings of config.json that changes leave as they are, in words; "" if none are."""
    kept = {key: value for key, value in read_config(folder).items() if key not in changes}
    if isinstance(kept.get("wifi"), dict):  # the password stays secret
        kept["wifi"] = kept["wifi"].get("ssid")
    return ", ".join(f"{key} {value}" for key, value in kept.items())


def azure_host(folder: Path) -> dict:
    """DPS's own host as a change, unless config.json has a host of Azure's already."""
    default = device_config.KEYS["host"][1]
    host = str(read_config(folder).get("host", default))
    return {} if host.lower().endswith(AZURE_HOST) else {"host": default}


def write_identity(
    folder: Path, certs: Path | None, roots_source: str | None, slot: str = "a"
) -> None:
    """Write an identity, or parts of it, into a slot.

    certs         folder with key.der and cert.der; None: keep those of the slot
    roots_source  as load_roots() takes it; None: keep the roots of the slot. If the slot has none,
                  it gets the roots of the other slot
    Raises ToolError.
    """
    files = {}
    if certs:
        for name in ("key.der", "cert.der"):
            try:
                files[name] = (certs / name).read_bytes()
            except OSError as error:
                raise ToolError(
                    f"cannot read {certs / name} ({error.strerror}): name the folder with key.der"
                    " and cert.der, which 'microdps certs' makes, or 'microdps certs convert' from"
                    " your own files"
                ) from error
    if roots_source:
        files["roots.der"] = load_roots(roots_source)
    target = slot_folder(folder, slot)
    if not roots_source and not (target / "roots.der").exists():
        for other in SLOTS:
            path = slot_folder(folder, other) / "roots.der"
            if path.exists():
                files["roots.der"] = path.read_bytes()
    write_files(target, files, force=True)
    if certs:
        write_files(folder, {SOURCES: source_lines(folder, certs)}, force=True)


def source_lines(folder: Path, certs: Path) -> bytes:
    """The content of SOURCES, with one more certificate folder, as a relative path."""
    try:
        line = os.path.relpath(certs, folder)
    except ValueError:  # on another drive of Windows
        line = str(certs.resolve())
    path = folder / SOURCES
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return "".join(f"{one}\n" for one in dict.fromkeys([*before, line])).encode()


def sources(folder: Path) -> list[Path]:
    """The certificate folders from which a device's folder has its keys."""
    path = folder / SOURCES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [folder / line for line in lines]


def check_identity(folder: Path, slot: str) -> x509.Certificate:
    """The device's certificate in a slot. Raises ToolError if a device could not use the slot."""
    try:
        identity = Identity.from_files(str(slot_folder(folder, slot)))
        leaf = _parse(list(identity.certs("cert")), identity.name("cert"))[0]
        _parse(list(identity.certs("roots")), identity.name("roots"))
    except Error as error:
        raise ToolError(f"config.json is good, but the identity is not: {error}") from error
    return leaf


def _parse(certs: list, name: str) -> list[x509.Certificate]:
    """Parse certificates: the device itself only looks at their lengths. Raises IdentityError."""
    try:
        return [x509.load_der_x509_certificate(cert) for cert in certs]
    except ValueError as error:
        raise IdentityError("unreadable", name) from error


def wifi_settings(ssid: str, is_open: bool) -> dict[str, str]:
    """The Wi-Fi as config.json has it. Raises ToolError if no network can be like that."""
    if not 1 <= len(ssid.encode()) <= 32:
        raise ToolError(f"the Wi-Fi's name {ssid!r} has no 1 to 32 bytes: check --wifi-ssid")
    wifi = {"ssid": ssid, "password": wifi_password(is_open)}
    if not device_config.valid_wifi(wifi):
        raise ToolError(
            "this can be no Wi-Fi password: use 8 to 63 printable ASCII characters, or 64 hex"
            " digits, or --wifi-open for an open network"
        )
    return wifi


def wifi_password(is_open: bool = False) -> str:
    """The Wi-Fi password, from the environment or typed at a terminal. Raises ToolError.

    is_open  the network has none
    """
    if is_open:
        return ""
    value = os.environ.get(WIFI_PASSWORD_VARIABLE)
    if value is not None:
        return value
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            return getpass.getpass("Wi-Fi password: ")
    raise ToolError(
        f"there is no Wi-Fi password: set {WIFI_PASSWORD_VARIABLE}, type it at a terminal, or give"
        " --wifi-open for an open network"
    )
