"""What a live check saw, as a file to attach to a report: no secret, no ID in clear."""

import json
import platform
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from microdps.protocol.url import quote

from ..files import write_files

# Tracking IDs, operation IDs and the like.
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# Names that every instance of Azure's has, so they tell nothing about the user's.
PUBLIC_HOSTS = ("global.azure-devices-provisioning.net", "localhost", "127.0.0.1")


class Report:
    """The steps of a live check, in their order."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._hidden: dict[str, str] = {}
        self._start = time.monotonic()

    def hide(self, name: str, value: str) -> None:
        """Write <name> in place of a value. Of a host, its own name is hidden, not the domain."""
        host = value.partition(":")[0]
        if host and host.lower() not in PUBLIC_HOSTS:
            value = host.partition(".")[0] if name in ("host", "hub") else value
            for form in (value, quote(value)):
                self._hidden.setdefault(form, name)

    def add(self, step: str, **seen: Any) -> None:
        """Note a step, and what was seen in it."""
        at_ms = round((time.monotonic() - self._start) * 1000)
        self._steps.append({"step": step, "at_ms": at_ms, **seen})

    def write(self, path: Path) -> None:
        """Write the file. Raises ToolError."""
        text = json.dumps(
            {
                "report": "microdps live-check",
                "utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
                "steps": self._steps,
            },
            indent=2,
            ensure_ascii=False,
        )
        # Longer values first: one may be a part of another.
        for value in sorted(self._hidden, key=len, reverse=True):
            alone = rf"(?<![\w-]){re.escape(value)}(?![\w-])"
            text = re.sub(alone, f"<{self._hidden[value]}>", text, flags=re.IGNORECASE)
        text = GUID.sub("<guid>", text)
        write_files(path.parent, {path.name: f"{text}\n".encode()}, force=True)
