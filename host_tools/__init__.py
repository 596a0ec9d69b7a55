"""Host tools for microdps: the `microdps` command, one module a verb."""

from pathlib import Path

# The tools work from a checkout: they need firmware/ and boards/.
CHECKOUT = Path(__file__).resolve().parent.parent
FIRMWARE = CHECKOUT / "firmware"


class ToolError(Exception):
    """What went wrong and what to do about it, in one sentence. Shown without a traceback."""
