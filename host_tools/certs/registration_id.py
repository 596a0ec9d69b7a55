"""The rule for registration IDs, which are the common names of device certificates."""

from microdps.program.config import valid_registration_id

from .. import ToolError

# The longest common name (X.520, ub-common-name).
COMMON_NAME_LIMIT = 64


def check_registration_id(registration_id: str) -> str:
    """Return the ID. Raises ToolError if DPS forbids it or it is too long for a common name."""
    if not valid_registration_id(registration_id) or len(registration_id) > COMMON_NAME_LIMIT:
        raise ToolError(
            f"{registration_id!r} is not a registration ID: use 1 to {COMMON_NAME_LIMIT} of A-Z"
            " a-z 0-9 - . _ : and end with a letter, a digit or a dash"
        )
    return registration_id
