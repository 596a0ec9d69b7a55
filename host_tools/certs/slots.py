"""Where a device's folder keeps its identities: key.der, cert.der and roots.der of each slot.

Slot a holds the first identity. The next one goes into slot b, the one after that into slot a
again: firmware/microdps/rollover.py describes how the device changes from one to the other.
"""

from pathlib import Path

SLOTS = ("a", "b")
IDENTITY = "identity"
IDENTITY_FILES = ("key.der", "cert.der", "roots.der")


def slot_folder(folder: Path, slot: str) -> Path:
    """The folder of a slot's identity in a device's folder."""
    return folder / IDENTITY / slot


def used_slots(folder: Path) -> list[str]:
    """Slot a, and slot b if a device's folder has it."""
    return [slot for slot in SLOTS if slot == SLOTS[0] or slot_folder(folder, slot).exists()]
