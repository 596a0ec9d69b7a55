"""Calls of a running simulator's page: its API, and its admin calls."""

from typing import Any

import requests

from .. import ToolError
from . import DEFAULT_PAGE

# A method may take longer, by as much as its own limit.
TIMEOUT_S = 20


class AdminClient:
    """A running simulator.

    page  the address of its page, as its line "ready" says it
    """

    def __init__(self, page: str = DEFAULT_PAGE):
        self._page = page.rstrip("/")

    def send(self, call: dict) -> dict:
        """Leave a message for a device → {"hub", "waiting"}."""
        return self._call("POST", "admin/devicebound", call)

    def twin(self, device_id: str, hub: str | None) -> dict:
        """The twin of a device."""
        parameters = {"deviceId": device_id} | ({"hub": hub} if hub else {})
        return self._call("GET", "admin/twins", parameters=parameters)

    def change_twin(self, device_id: str, hub: str | None, desired: dict) -> dict:
        """Change the desired properties of a device → its twin."""
        body = {"deviceId": device_id, "hub": hub, "desired": desired}
        return self._call("POST", "admin/twins", body)

    def call_method(self, call: dict, timeout_s: float) -> dict:
        """Call a direct method → {"status", "payload"}."""
        return self._call(
            "POST", "admin/methods", call | {"timeoutS": timeout_s}, timeout_s=timeout_s
        )

    def messages(self, after: int, limit: int) -> list[dict]:
        """The messages with a higher number, whole, the oldest first."""
        parameters = {"after": after, "limit": limit, "oldest": 1, "whole": 1}
        return self._call("GET", "api/messages", parameters=parameters)["messages"]

    def last_number(self) -> int:
        """The number of the last message so far."""
        return self._call("GET", "api/overview")["messages"]

    def _call(
        self,
        method: str,
        path: str,
        body: dict | None = None,
        parameters: dict | None = None,
        timeout_s: float = 0,
    ) -> Any:
        """Make a call → its answer. Raises ToolError."""
        try:
            answer = requests.request(
                method,
                f"{self._page}/{path}",
                params=parameters,
                json=body,
                timeout=TIMEOUT_S + timeout_s,
            )
            value = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise ToolError(
                f"there is no simulator at {self._page}: start 'microdps simulate', or give the"
                " page's address of its line 'ready' with --page"
            ) from error
        if answer.status_code != 200:
            text = value.get("error") if isinstance(value, dict) else None
            raise ToolError(f"the simulator refused this: {text or answer.status_code}")
        return value
