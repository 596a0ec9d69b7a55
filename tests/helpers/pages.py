"""The simulator's page without a simulator: its server, and records for its store."""

import contextlib
import http.client
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import requests

from helpers.programs import PROGRAMS, TIMEOUT_S
from microdps_tools import CHECKOUT
from microdps_tools.simulator.store.store import Store

HUBS = ("localhost:8444", "localhost:8446")


@dataclass
class Served:
    """A page's server, and the store that it shows. The test fills the store."""

    port: int
    store: Store

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def get(self, call: str, **given) -> dict:
        """Make a call of the API → its answer. Fails if that is an error."""
        answer = requests.get(f"{self.url}api/{call}", params=given, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, call: str, after: dict[str, str], limit: int):
        """All rows of a call that has pages. after: parameter → key of the last row."""
        given, more = {}, True
        while more:
            page = self.get(call, limit=limit, **given)
            more = page["more"]
            yield from page[call]
            given = {name: page[call][-1][key] for name, key in after.items()}


@contextlib.contextmanager
def servers():
    """Start a process that serves pages → a function that adds a page.

    The function takes a state's folder and a port (0: any), and returns the port.
    """
    command = [sys.executable, PROGRAMS / "page.py", *HUBS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as process:

        def serve(state: Path, port: int = 0) -> int:
            process.stdin.write(f"{port} {state}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield serve
        process.stdin.close()
        process.wait(TIMEOUT_S)


def device_record(name: str, status: str = "enabled", registration_id: str | None = None):
    record = {
        "kind": "group",
        "registrationId": registration_id or name,
        "thumbprint": "AA",
        "status": status,
    }
    return name, record


def enrollment_record(name: str, group: bool = False):
    key = "enrollmentGroupId" if group else "registrationId"
    info = {"subjectName": f"CN={name}", "notAfterUtc": "2031-02-03T04:05:06Z"}
    record = {
        key: name,
        "attestation": {"x509": {"clientCertificates": {"primary": {"info": info}}}},
        "provisioningStatus": "enabled",
        "allocationPolicy": "hashed",
    }
    return name, record


def send(store: Store, device: str, *bodies, hub: str = HUBS[0], ago_s: float = 0) -> None:
    """Store messages of a device, one for each second. The last one came ago_s seconds ago."""
    for left, body in zip(reversed(range(len(bodies))), bodies, strict=True):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        store.messages.add(hub, device, {}, data)
        store._db.execute(
            "UPDATE messages SET at = at - ? WHERE number = (SELECT max(number) FROM messages)",
            (ago_s + left,),
        )


def raw(served: Served, method: str, path: str, **headers) -> tuple[int, dict, bytes]:
    """Make a request with exactly these headers → status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": "localhost"} | headers).items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def refused(answer: tuple[int, dict, bytes], status: int) -> None:
    assert answer[0] == status, answer
    assert answer[1]["content-type"] == "application/json"
    if answer[2]:
        assert list(json.loads(answer[2])) == ["error"]


def weather(i: int) -> dict:
    return {
        "temperature": round(21 + 3 * ((i * 7) % 13) / 13 + i / 30, 2),
        "humidity": 48 - (i * 5) % 11,
        "battery": {"voltage": round(3.9 - i / 400, 3)},
    }
