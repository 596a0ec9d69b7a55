"""The curl commands of the how-to get the how-to's answers, down to the headers.

Source: "Use X.509 certificates over HTTPS without an SDK" (Azure documentation).
"""

import json
import re
import subprocess

import pytest

from microdps_tools.enroll.enrollment import enroll_individual

# Seven fractional digits, as the how-to shows them.

# With seven digits after the second, as the how-to shows it.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
OPERATION = re.compile(r"5\.[0-9a-f]{16}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FIELDS = "-H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8'"


class Curl:
    """Runs the how-to's commands, against the simulator's ports and with its root.

    credentials  curl's options for the client certificate and its key
    """

    def __init__(self, simulator, folder, credentials):
        self.simulator = simulator
        self.folder = folder
        self.credentials = credentials

    def __call__(self, method: str, rest: str, port: str):
        """Run a command → status line, headers (lower case), body."""
        extra = f"--connect-to ::localhost:{port.split(':')[1]} --cacert {self.simulator.root} -sS"
        command = f"curl {extra} -L -i -X {method} {self.credentials} {FIELDS} {rest}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        lines = head.split("\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        assert headers.pop("date")
        assert UUID.fullmatch(headers.pop("x-ms-request-id"))
        return lines[0], headers, body


def how_to(simulator, folder, name, cert, key, attested=None):
    """Run the how-to's three commands, and compare the answers with the how-to's."""
    curl = Curl(simulator, folder, f"--cert {cert} --key {key}")
    host = "https://global.azure-devices-provisioning.net"
    base = f"{host}/{simulator.id_scope}/registrations/{name}"
    operation = register(curl, base, name)
    poll(curl, base, name, operation, attested or {})
    send(curl, name)


def register(curl, base, name) -> str:
    """Register → the operation ID."""
    status, headers, body = curl(
        "PUT",
        f'-d \'{{"registrationId": "{name}"}}\' {base}/register?api-version=2021-06-01',
        curl.simulator.dps,
    )
    assert status == "HTTP/1.1 202 Accepted"
    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "transfer-encoding": "chunked",
        "location": f"{base}/register".lower(),
        "retry-after": "1",  # 3 in the how-to; this simulator has another setting
        "strict-transport-security": "max-age=31536000; includesubdomains",
    }
    answer = json.loads(body)
    operation = answer.pop("operationId")
    assert OPERATION.fullmatch(operation)
    assert answer == {"status": "assigning"}
    return operation


def poll(curl, base, name, operation, attested) -> None:
    """Ask for the status of the operation."""
    status, headers, body = curl(
        "GET", f"{base}/operations/{operation}?api-version=2021-06-01", curl.simulator.dps
    )
    assert status == "HTTP/1.1 200 OK"
    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "transfer-encoding": "chunked",
        "strict-transport-security": "max-age=31536000; includesubdomains",
    }
    answer = json.loads(body)
    state = answer.pop("registrationState")
    assert answer == {"operationId": operation, "status": "assigned"}
    assert list(state) == [
        "x509",
        "registrationId",
        "createdDateTimeUtc",
        "assignedHub",
        "deviceId",
        "status",
        "substatus",
        "lastUpdatedDateTimeUtc",
        "etag",
    ]
    assert MOMENT.fullmatch(state.pop("createdDateTimeUtc"))
    assert MOMENT.fullmatch(state.pop("lastUpdatedDateTimeUtc"))
    assert state.pop("etag")
    assert state == {
        "x509": attested,
        "registrationId": name,
        "assignedHub": curl.simulator.hub,
        "deviceId": name,
        "status": "assigned",
        "substatus": "initialAssignment",
    }


def send(curl, name) -> None:
    """Send a message to the hub."""
    status, headers, body = curl(
        "POST",
        "-d '{\"temperature\": 30}'"
        f" https://MyExampleHub.azure-devices.net/devices/{name}/messages/events"
        "?api-version=2020-03-13",
        curl.simulator.hub,
    )
    assert status == "HTTP/1.1 204 No Content"
    assert headers == {
        "content-length": "0",
        "vary": "origin",
        "server": "microsoft-httpapi/2.0",
    }
    assert body == ""
    assert [body for _, body in curl.simulator.messages(name)] == [b'{"temperature": 30}']


def test_self_signed_certificate(simulator, tmp_path):
    """Made with the how-to's openssl command: RSA 4096, and a pass-phrase."""
    subprocess.run(
        "openssl req -outform PEM -x509 -sha256 -newkey rsa:4096 -keyout device-key.pem"
        " -out device-cert.pem -days 30 -extensions usr_cert -addext extendedKeyUsage=clientAuth"
        ' -subj "/CN=my-x509-device" -passout pass:1234',
        shell=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    enroll_individual(simulator.service, "my-x509-device", tmp_path / "device-cert.pem", None)
    how_to(simulator, tmp_path, "my-x509-device", "device-cert.pem:1234", "device-key.pem")


@pytest.mark.parametrize("hub", ["handshake", "renegotiate"])
def test_certificate_chain(hub, request, tmp_path):
    """curl gets through to both kinds of hub."""
    simulator = request.getfixturevalue("simulator" if hub == "handshake" else "late_simulator")
    made = simulator.device("device-01").parent.parent
    group = {"enrollmentGroupId": "group-01"}
    how_to(simulator, made, "device-01", "full-chain.pem", "key.pem", group)
