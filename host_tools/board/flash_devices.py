"""The devices to flash: their identities, which of them are next, and the copies of their keys."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from microdps.errors import Error
from microdps.identity import split
from microdps.program import config as device_config
from microdps.rollover import NAMESPACES

from .. import ToolError
from ..boards import Board
from ..certs.slots import SLOTS, slot_folder
from ..device.config import sources
from . import image
from .flash_record import Record

# The files with a private key in a certificate folder, and in its folder of slot b.
KEY_FILES = ("key.der", "key.pem", "b/key.der", "b/key.pem")

# Files that may hold a key inside of an image, and the largest one that is looked into.
IMAGES = ("*.bin", "*.flash", "*/*.bin", "*/*.flash")
IMAGE_LIMIT = 64 * 1024 * 1024


@dataclass
class Device:
    """A device to flash. nvs: the image of its NVS partition."""

    folder: Path
    registration_id: str
    thumbprint: str
    nvs: bytes

    @classmethod
    def load(cls, folder: Path, board: Board) -> "Device":
        """Read a folder that 'microdps config' made. Raises ToolError."""
        blobs = image.device_blobs(folder)
        nvs = image.nvs_image(blobs, board.nvs_size)
        first = blobs[NAMESPACES[image.SLOT]]
        try:
            leaf = x509.load_der_x509_certificate(next(split(io.BytesIO(first["cert"]), "")))
        except (Error, ValueError) as error:
            raise ToolError(f"{folder}: {error}") from error
        thumbprint = leaf.fingerprint(hashes.SHA1()).hex()  # noqa: S303
        return cls(folder, json.loads(first["config"])["registration_id"], thumbprint, nvs)


def registration_id(folder: Path) -> str:
    """Of a device's folder. The rest of its config.json is not checked. Raises ConfigError."""
    path = folder / "config.json"
    try:
        return str(json.loads(path.read_bytes())["registration_id"])
    except (OSError, ValueError, LookupError, TypeError):
        return device_config.load(str(path))["registration_id"]  # it says what is wrong


def all_devices(folder: Path) -> dict[str, Path]:
    """The devices' folders of a folder, in their order: registration ID → folder.

    Raises ToolError if there are none, or two for one device.
    """
    folders = sorted(path.parent for path in folder.glob("*/config.json"))
    if not folders:
        which = folder if any(folder.glob("*/cert.der")) else "certs"
        raise ToolError(
            f"{folder} has no devices' folders: make them with 'microdps config --devices {which}"
            " --out devices'"
        )
    devices: dict[str, Path] = {}
    firsts: dict[str, Path] = {}  # by the ID in lower case: DPS ignores the case of letters
    for path in folders:
        name = registration_id(path)
        devices[name] = path
        first = firsts.setdefault(name.lower(), path)
        if first != path:
            raise ToolError(f"{first} and {path} are both for {name}: remove one of them")
    return devices


def devices_without_board(folder: Path, record: Record) -> dict[str, Path]:
    """Those that have no board yet. Raises ToolError if there are no devices at all."""
    taken = record.taken_ids()
    return {name: path for name, path in all_devices(folder).items() if name not in taken}


def delete_keys(folder: Path) -> tuple[int, list[str]]:
    """Delete the copies of a device's private keys that the tools made.

    Returns how many files were deleted, and the images in the current folder that still hold one
    of the keys. Raises ToolError if a file cannot be deleted.
    """
    slots = [slot_folder(folder, slot) for slot in SLOTS]
    certs = {_content(slot / "cert.der") for slot in slots} - {b""}
    # A certificate folder may have been made anew since: then its key is another one.
    places = {*slots, *(place for place in sources(folder) if _certs(place) & certs)}
    files = {(place / name).resolve() for place in places for name in KEY_FILES}
    files = {file for file in files if file.is_file()}
    secrets = {file.read_bytes() for file in files if file.suffix == ".der"}
    try:
        for file in files:
            file.unlink()
    except OSError as error:
        raise ToolError(f"cannot delete {error.filename}: {error.strerror}") from error
    return len(files), sorted(str(path) for path in _images(Path()) if _holds(path, secrets))


def _certs(place: Path) -> set[bytes]:
    return {_content(place / name) for name in ("cert.der", "b/cert.der")}


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _images(folder: Path) -> set[Path]:
    return {path for pattern in IMAGES for path in folder.glob(pattern) if path.is_file()}


def _holds(path: Path, secrets: set[bytes]) -> bool:
    if not secrets or path.stat().st_size > IMAGE_LIMIT:
        return False
    data = path.read_bytes()
    return any(secret in data for secret in secrets)
