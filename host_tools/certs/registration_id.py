"""The rule for registration IDs, which are the common names of device certificates."""

import os

from microdps.program.config import valid_registration_id

from .. import ToolError

# The longest common name (X.520, ub-common-name).
COMMON_NAME_LIMIT = 64


# The CA's files, which lie in the same folder as the devices' folders.
CA_FILES = {f"{ca}.{part}.pem" for ca in ("root", "intermediate") for part in ("cert", "key")}


def check_folder_name(registration_id: str) -> str:
    """Return the ID. Raises ToolError if no folder beside the CA's files can have its name."""
    check_registration_id(registration_id)
    if registration_id.lower() in CA_FILES:
        raise ToolError(
            f"{registration_id!r} is the name of a file of the CA, beside which the device's"
            " folder would be: choose another registration ID"
        )
    if os.name == "nt" and ":" in registration_id:
        raise ToolError(
            f"{registration_id!r} has a colon, which no folder of Windows can have: choose another"
            " registration ID, or make it on another system"
        )
    return registration_id


def check_registration_id(registration_id: str) -> str:
    """Return the ID. Raises ToolError if DPS forbids it or it is too long for a common name."""
    if not valid_registration_id(registration_id) or len(registration_id) > COMMON_NAME_LIMIT:
        raise ToolError(
            f"{registration_id!r} is not a registration ID: use 1 to {COMMON_NAME_LIMIT} of A-Z"
            " a-z 0-9 - . _ : and end with a letter, a digit or a dash"
        )
    return registration_id
