"""Call DPS's service API: create, read, delete and list enrollments.

Source: Azure REST reference, DPS service 2021-10-01.
"""

import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import requests

from .. import ToolError
from . import connection_string, sas
from .trust import trusted_file

API_VERSION = "2021-10-01"
TIMEOUT_S = 30

# HTTP status of an error answer → what the user can do.
ADVICE = {
    401: "check the key of the connection string, and what its policy permits",
    403: "check what the policy of the connection string permits",
    412: "somebody else changed it at the same time, so run this again",
    429: "wait a minute, and run this again",
}

# A message quotes at most this many characters of an error answer.
QUOTE_LIMIT = 300


class ServiceApi:
    """DPS's service API.

    connection  the connection string of the DPS instance
    ca          file with the root of the service's certificate; None: the well-known roots
    Raises ToolError if the connection string lacks a part.
    """

    def __init__(self, connection: str, ca: Path | None = None):
        parts = connection_string.parse(connection)
        self._host, self._key_name, self._key = (parts[key] for key in connection_string.KEYS)
        self._verify = trusted_file(ca)

    def put(self, path: str, name: str, record: dict, etag: str | None = "*") -> dict:
        """Create or replace an enrollment → the enrollment, as DPS keeps it.

        path  "enrollments" or "enrollmentGroups"
        etag  of the enrollment to replace; "*": replace any; None: there must be none
        """
        headers = {"If-Match": etag} if etag else None
        response = self._request("PUT", f"{path}/{_quoted(name)}", record, headers)
        return self._enrollment(response, f"enroll {name}")

    def get(self, path: str, name: str) -> dict | None:
        """The enrollment, as DPS keeps it; None if there is none."""
        response = self._request("GET", f"{path}/{_quoted(name)}")
        if response.status_code == 404:
            return None
        return self._enrollment(response, f"read {name}")

    def delete(self, path: str, name: str, etag: str = "*") -> None:
        headers = {"If-Match": etag}
        response = self._request("DELETE", f"{path}/{_quoted(name)}", headers=headers)
        self._json(response, f"delete {name}")

    def list_all(self, path: str) -> Iterator[dict]:
        """All enrollments, page by page."""
        token = None
        while token != "":
            headers = {"x-ms-continuation": token} if token else None
            query = {"query": "SELECT * FROM enrollments"}
            response = self._request("POST", f"{path}/query", query, headers)
            page = self._json(response, "list the enrollments")
            if not isinstance(page, list):
                raise self._not_dps()
            yield from page
            token = response.headers.get("x-ms-continuation", "")

    def _request(
        self, method: str, path: str, body: dict | None = None, headers: dict | None = None
    ) -> requests.Response:
        """Send a signed request. Raises ToolError if there is no response."""
        try:
            token = sas.token(self._host, self._key_name, self._key)
        except ValueError as error:
            raise ToolError(
                "the SharedAccessKey of the DPS connection string is not base64: copy the whole"
                " key"
            ) from error
        try:
            return requests.request(
                method,
                f"https://{self._host}/{path}",
                params={"api-version": API_VERSION},
                json=body,
                headers={"Authorization": token, **(headers or {})},
                timeout=TIMEOUT_S,
                verify=self._verify,
            )
        except (requests.RequestException, OSError) as error:
            raise ToolError(
                f"cannot reach DPS at {self._host} ({_innermost(error)}): check the HostName of"
                " the connection string, the network and, for the simulator, --ca"
            ) from error

    def _enrollment(self, response: requests.Response, action: str) -> dict:
        """The enrollment in a response. Raises ToolError as _json() does."""
        enrollment = self._json(response, action)
        if not isinstance(enrollment, dict) or "provisioningStatus" not in enrollment:
            raise self._not_dps()
        return enrollment

    def _json(self, response: requests.Response, action: str):
        """The JSON of a response; None if it has no body. Raises ToolError for an error status."""
        if response.status_code not in (200, 204):
            text = " ".join(response.text.split())[:QUOTE_LIMIT]
            advice = ADVICE.get(
                response.status_code,
                "fix the cause that it names, or see 'microdps explain'",
            )
            raise ToolError(
                f"DPS refused to {action}: HTTP {response.status_code}, {text}: {advice}"
            )
        if response.status_code == 204:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise self._not_dps() from error

    def _not_dps(self) -> ToolError:
        return ToolError(
            f"{self._host} answered, but it is not DPS: check the HostName of the connection"
            " string"
        )


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")


def _innermost(error: BaseException) -> str:
    """The text of the innermost exception: it names the cause, while requests' own ones do not."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
