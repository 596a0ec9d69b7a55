"""The connection string of a DPS instance: HostName=…;SharedAccessKeyName=…;SharedAccessKey=…

It comes from a file or the environment, never from the command line, where others could read it.
"""

import os
import re
from pathlib import Path

from .. import ToolError
from ..text_files import decode, json_query, unquoted
from . import sas
from .policies import VARIABLE

__all__ = ["KEYS", "VARIABLE", "parse", "read"]

KEYS = ("HostName", "SharedAccessKeyName", "SharedAccessKey")

# Keys of other services' connection strings.
OTHERS = ("DeviceId", "Endpoint", "DefaultEndpointsProtocol", "AccountKey")


def read(file: Path | None) -> str:
    """The text of the file; without a file, the environment variable's value.

    Raises ToolError if there is none.
    """
    try:
        text = decode(file.read_bytes()) if file else os.environ.get(VARIABLE, "")
    except OSError as error:
        raise ToolError(
            f"cannot read the connection string from {file}: {error.strerror}: check the file's"
            " name"
        ) from error
    if not text.strip():
        raise ToolError(
            f"there is no DPS connection string: set {VARIABLE}, or give --connection-string-file"
        )
    return text


def parse(text: str) -> dict[str, str]:
    """The parts of a connection string, by their keys.

    Quotes, blanks and a variable's name around it are ignored, as in the line of an .env file.
    Raises ToolError if it is of another service, or if a part is missing.
    """
    query = json_query(text, lambda value: "SharedAccessKey=" in value)
    if query is not None:
        raise ToolError(
            "this is JSON, and no connection string: run 'az iot dps connection-string show"
            f" --dps-name DPS --query {query or 'connectionString'} --output tsv', and save what"
            " it prints"
        )
    parts = _parts(text)
    _check_service(parts, text)
    missing = [key for key in KEYS if not parts.get(key)]
    if missing:
        raise ToolError(
            f"the DPS connection string has no {missing[0]}: copy the whole string from"
            " 'Shared access policies' of the DPS instance"
        )
    host = re.sub("^https?://", "", parts["HostName"], flags=re.IGNORECASE).rstrip("/")
    return {**parts, "HostName": host}


def _parts(text: str) -> dict[str, str]:
    """The parts of a text that looks like a connection string: key → value."""
    names = {key.lower(): key for key in (*KEYS, *OTHERS)}
    start = re.search(rf"\b({'|'.join(names)})\s*=", text, re.IGNORECASE)
    words = text[start.start() :] if start else text
    words = "".join(line.strip() for line in words.strip().splitlines())
    parts = {}
    for part in words.split(";"):
        key, equals, value = part.partition("=")
        if equals:
            key = unquoted(key)
            parts[names.get(key.lower(), key)] = unquoted(value)
    return parts


def _check_service(parts: dict[str, str], text: str) -> None:
    """Raises ToolError if a connection string is not that of a DPS instance."""
    host = parts.get("HostName", "").lower().rstrip("/")
    kind = ""
    if "DeviceId" in parts:
        kind = "a device's"
    elif re.search(r"\.azure-devices\.\w+$", host):
        kind = "an IoT hub's"
    elif "Endpoint" in parts:
        kind = "a Service Bus or Event Hubs"
    elif "DefaultEndpointsProtocol" in parts or "AccountKey" in parts:
        kind = "a storage account's"
    elif text.strip().startswith(sas.SCHEME):
        raise ToolError(
            "this is a SAS token, and no connection string: copy the connection string from"
            " 'Shared access policies' of the DPS instance"
        )
    if kind:
        raise ToolError(
            f"this is {kind} connection string, and DPS has its own: copy that from 'Shared"
            " access policies' of the DPS instance, or run 'az iot dps connection-string show"
            " --dps-name DPS'"
        )
