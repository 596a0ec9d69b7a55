"""Configure many devices at once: a device's folder for each certificate folder."""

import contextlib
import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from microdps.errors import Error
from microdps.identity import Identity, split
from microdps.program import config as device_config

from .. import ToolError
from ..certs.reading import common_name, public_key
from ..certs.registration_id import check_registration_id
from ..certs.slots import SLOTS
from ..certs.tls_reasons import refusal_reasons
from ..files import write_folder
from . import mbedtls
from .check import of_chain, of_roots
from .config import SOURCES, encode_config, read_config, source_lines
from .roots import load_roots

# The devices share their issuers and roots. So each certificate is parsed once.
_parsed = functools.lru_cache(16)(x509.load_der_x509_certificate)


@dataclass
class Count:
    """How many devices' folders were written, and how many were left as they are."""

    written: int
    kept: int


def configure_all(certs: Path, out: Path, settings: dict, roots_source: str | None) -> Count:
    """Write the folder out/ID for each certificate folder in certs.

    certs         as 'microdps certs batch' makes it; the certificate's common name is the
                  registration ID
    settings      keys of config.json, the same for all; a folder that exists keeps its other keys
    roots_source  as load_roots() takes it; None: a folder that exists keeps its roots

    A device whose key was deleted after flashing keeps its folder as it is.
    Raises ToolError, and writes nothing, if a board could not use one of the devices.
    """
    folders = sorted(path.parent for path in certs.glob("*/cert.der"))
    if not folders:
        raise ToolError(
            f"{certs} has no certificate folders: make them with 'microdps certs batch"
            f" devices.csv --out {certs}'"
        )
    roots = load_roots(roots_source) if roots_source else None
    devices: dict[Path, dict[str, bytes]] = {}
    names: dict[str, Path] = {}
    shapes: set = set()
    kept = 0
    for folder in folders:
        device = _Device(folder, out, settings, roots)
        other = names.setdefault(device.name.lower(), folder)
        if other != folder:
            raise ToolError(f"{other} and {folder} are both for {device.name}: remove one of them")
        if device.key is None:
            kept += 1
            continue
        devices[device.target] = device.files(shapes)
    for target, files in devices.items():
        write_folder(target, files, force=True)
    return Count(len(devices), kept)


class _Device:
    """A device of the fleet. key: None if it was deleted, after a board had it.

    Raises ToolError if its certificate folder is not usable.
    """

    def __init__(self, folder: Path, out: Path, settings: dict, roots: bytes | None):
        self.folder = folder
        chain = (folder / "cert.der").read_bytes()
        key = folder / "key.der"
        self.key = key.read_bytes() if key.exists() else None
        try:
            leaf = _parsed(next(split(io.BytesIO(chain), "")))
        except (Error, ValueError) as error:
            raise ToolError(f"{folder / 'cert.der'} is damaged: make it again") from error
        self.name = check_registration_id(common_name(leaf))
        self.target = out / self.name
        if self.key is None and not self.target.exists():
            raise ToolError(f"{folder} has no key.der: make its certificate again")
        self._settings = settings
        self._roots = roots
        self._chain = chain

    def files(self, shapes: set) -> dict[str, bytes]:
        """The files of the device's folder. Raises ToolError if a board could not use them."""
        place = f"identity/{SLOTS[0]}"
        roots = self._roots
        if roots is None:
            path = self.target / place / "roots.der"
            if not path.exists():
                raise ToolError(f"{self.target} has no roots: give --roots azure, or a file")
            roots = path.read_bytes()
        settings = {**read_config(self.target), **self._settings, "registration_id": self.name}
        checked = device_config.check(settings, str(self.target / "config.json"))
        parts = {"key": self.key or b"", "cert": self._chain, "roots": roots}
        for problem in _problems(parts, checked, shapes):
            raise ToolError(f"{self.folder}: {problem}")
        files = {f"{place}/{part}.der": content for part, content in parts.items()}
        files["config.json"] = encode_config(settings)
        files[SOURCES] = source_lines(self.target, self.folder)
        return files


def _problems(parts: dict[str, bytes], settings: dict, shapes: set) -> Iterator[str]:
    """What a board or DPS would refuse."""
    try:
        identity = Identity(lambda part: io.BytesIO(parts[part]), "%s")
        ders = {part: list(identity.certs(part)) for part in ("cert", "roots")}
        chain, roots = ([_parsed(one) for one in part] for part in ders.values())
    except Error as error:
        yield str(error)
        return
    except ValueError:
        yield "a certificate in cert.der or roots.der is damaged"
        return
    yield from (one.text for one in of_chain(chain, settings["registration_id"]) if one.fatal)
    yield from refusal_reasons(chain[0])
    # The board's TLS is tried with one device of each kind: issuers, roots, type of key.
    key_kind = type(public_key(chain[0])), chain[0].signature_algorithm_oid
    shape = (*ders["cert"][1:], parts["roots"], settings["host"], *key_kind)
    if shape not in shapes:
        shapes.add(shape)
        yield from (one.text for one in of_roots(roots, settings["host"]))
        with contextlib.suppress(ToolError):  # 'microdps check' says that this was not tried
            refused = mbedtls.refusals(parts["key"], ders["cert"], ders["roots"])
            yield from mbedtls.texts(refused, chain, roots)
