"""The connection string of a DPS instance: HostName=…;SharedAccessKeyName=…;SharedAccessKey=…

It comes from a file or the environment, never from the command line, where others could read it.
"""

import os
from pathlib import Path

from .. import ToolError

VARIABLE = "MICRODPS_DPS_CONNECTION_STRING"
KEYS = ("HostName", "SharedAccessKeyName", "SharedAccessKey")


def read(file: Path | None) -> str:
    """The text of the file; without a file, the environment variable's value.

    Raises ToolError if there is none.
    """
    try:
        text = file.read_text() if file else os.environ.get(VARIABLE, "")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"cannot read the connection string from {file}: {error}") from error
    if not text:
        raise ToolError(
            f"there is no DPS connection string: set {VARIABLE}, or give --connection-string-file"
        )
    return text


def parse(text: str) -> dict[str, str]:
    """The parts of a connection string, by their keys. Raises ToolError if one is missing."""
    parts = dict(part.split("=", 1) for part in text.strip().split(";") if "=" in part)
    missing = [key for key in KEYS if not parts.get(key)]
    if missing:
        raise ToolError(
            f"the DPS connection string has no {missing[0]}: copy the whole string from"
            " 'Shared access policies' of the DPS instance"
        )
    return parts
