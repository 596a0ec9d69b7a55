"""The host tools: the `microdps` command, with a folder for each subject. See README.md."""

from pathlib import Path

# The tools run from a checkout: they read firmware/ and boards/.
CHECKOUT = Path(__file__).resolve().parent.parent
FIRMWARE = CHECKOUT / "firmware"


class ToolError(Exception):
    """An error for the user: one sentence that says what happened and what to do.

    `microdps` prints it without a traceback.
    """
