"""Clients at their worst: random requests, thousand idle connections, one that stops reading."""

import contextlib
import json
import os
import random
import re
import socket
import ssl
import subprocess

import pytest

from helpers.by_hand import TIMEOUT_S, Device, enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.enroll import sas
from microdps_tools.files import write_files
from microdps_tools.simulator.dps.authorization import KEY_NAME

# `make test-fuzz` asks for more.
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "6"))
IDLE = 1000

# What the documentation lists for DPS and IoT Hub; 100 and 307 are of HTTP itself.
DOCUMENTED = {200, 202, 204, 400, 401, 403, 404, 405, 409, 411, 412, 413, 415, 429}

VALUES = [
    "",
    "x",
    0,
    -1,
    1e99,
    True,
    None,
    [],
    {},
    [[]],
    {"x": {"x": 1}},
    "\0",
    "ä" * 70,
    "x" * 300,
]
METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "X" * 40]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """One of our own: what becomes of the others' must not depend on this."""
    folder = tmp_path_factory.mktemp("hostile-clients")
    with start_simulator(folder, "--no-limits") as at:
        yield enrolled(folder, at)


@pytest.fixture(scope="module")
def device(simulator):
    device = enrolled_device(simulator, "victim-01")
    device.provision()
    return device


@pytest.fixture(autouse=True)
def no_traceback(simulator, device):
    """Whatever happens, the simulator serves on, and has no fault of its own to tell."""
    yield
    assert device.send().status_code == 204
    log = (simulator.state / "simulator.log").read_text()
    assert "Traceback" not in log
    assert "Unhandled" not in log


def connect(device, host, with_certificate=True) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=device.simulator.root)
    if with_certificate:
        context.load_cert_chain(*device.cert)
    name, port = host.rsplit(":", 1)
    plain = socket.create_connection((name, int(port)), TIMEOUT_S)
    return context.wrap_socket(plain, server_hostname=name)


class Fuzzer:
    """Makes requests that are nearly right, from a seed."""

    def __init__(self, device, source):
        self.device = device
        self.source = source
        simulator = device.simulator
        self.token = sas.token(simulator.dps, KEY_NAME, simulator.service._key)
        self.bearer = simulator.service._key
        pem = encoding.pem(issue("fuzzed", ca=True).cert).decode()
        pair = {"primary": {"certificate": pem}}
        one = {
            "registrationId": "fuzzed",
            "attestation": {"type": "x509", "x509": {"clientCertificates": pair}},
            "allocationPolicy": "hashed",
            "iotHubs": [simulator.hub],
            "reprovisionPolicy": {"updateHubAssignment": True},
        }
        group = {
            "enrollmentGroupId": "fuzzed",
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "fuzzed"}}},
        }
        query = {"query": "SELECT * FROM enrollments"}
        bulk = {"mode": "update", "enrollments": [one]}
        authority = {"properties": {"certificate": pem, "isVerified": True}}
        batch = [{"body": "eA==", "properties": {"iothub-app-a": "b"}}]
        device_path = f"{simulator.id_scope}/registrations/{device.name}"
        arm = "subscriptions/s/resourceGroups/r/providers/Microsoft.Devices"
        arm += "/provisioningServices/d/certificates"
        hub = f"devices/{device.name}/messages"
        self.calls = {
            simulator.dps: [
                ("PUT", f"{device_path}/register", {"registrationId": device.name, "payload": {}}),
                ("POST", device_path, {}),
                ("GET", f"{device_path}/operations/5.x", None),
                *((method, "enrollments/fuzzed", one) for method in ("PUT", "GET", "DELETE")),
                ("POST", "enrollments", bulk),
                ("POST", "enrollments/query", query),
                ("POST", "enrollments/fuzzed/attestationmechanism", None),
                *((method, "enrollmentGroups/fuzzed", group) for method in ("PUT", "GET")),
                ("POST", "enrollmentGroups/query", query),
                ("GET", "registrations/fuzzed", None),
                ("POST", "registrations/group-01/query", query),
                *((method, f"{arm}/fuzzed", authority) for method in ("PUT", "GET", "DELETE")),
                ("GET", arm, None),
                ("POST", f"{arm}/fuzzed/generateVerificationCode", None),
                ("POST", f"{arm}/fuzzed/verify", {"certificate": pem}),
            ],
            simulator.hub: [
                ("POST", f"{hub}/events", batch),
                ("GET", f"{hub}/devicebound", None),
                ("DELETE", f"{hub}/devicebound/x", None),
                ("POST", f"{hub}/devicebound/x/abandon", None),
            ],
        }

    def spoil(self, value):
        """A JSON value with one place in it changed, if chance wants it."""
        if self.source.random() < 0.1:
            return self.source.choice(VALUES)
        if self.source.random() < 0.3:
            return value
        if isinstance(value, dict) and value:
            key = self.source.choice(list(value))
            rest = {k: v for k, v in value.items() if k != key or self.source.random() < 0.9}
            return rest | {key: self.spoil(value[key])}
        if isinstance(value, list) and value:
            return [self.spoil(one) for one in value] * self.source.choice([1, 1, 1, 12])
        return value

    def request(self, host) -> bytes:
        source = self.source
        method, path, record = source.choice(self.calls[host])
        if source.random() < 0.15:
            method = source.choice(METHODS)
        if source.random() < 0.15:
            at = source.randrange(len(path))
            path = (
                path[:at] + source.choice(["/", "%", "%00", "%2F", "..", "?", "%ff"]) + path[at:]
            )
        version = "2020-03-13" if host == self.device.simulator.hub else "2021-10-01"
        version = source.choice([version] * 12 + ["", "x", "%00"])
        body = b"" if record is None else json.dumps(self.spoil(record)).encode()
        if source.random() < 0.1:
            body = body[: source.randrange(len(body) + 1)] + source.randbytes(3)
        fields = {"Host": host, "Content-Length": str(len(body))}
        right = f"Bearer {self.bearer}" if path.startswith("subscriptions") else self.token
        wrong = ["", "Basic x", "Bearer ", self.token[:-9]]
        fields["Authorization"] = source.choice([right] * 16 + wrong)
        for name in ("If-Match", "x-ms-max-item-count", "x-ms-continuation", "Content-Type"):
            if source.random() < 0.4:
                fields[name] = source.choice(
                    ["*"] * 5
                    + ["1", "0", "-1", "99999999999999999999", "x", "application/json", "\xb2"]
                    + ["application/vnd.microsoft.iothub.json"]
                )
        lines = [f"{method} /{path}?api-version={version} HTTP/1.1"]
        lines += [*(f"{name}: {value}" for name, value in fields.items()), "", ""]
        data = "\r\n".join(lines).encode("latin-1") + body
        if source.random() < 0.05:
            at = source.randrange(len(data))
            data = data[:at] + source.randbytes(2) + data[at:]
        return data


def test_random_requests_get_a_documented_status(simulator, device):
    source = random.Random(SEED)  # noqa: S311  reproducible
    fuzzer = Fuzzer(device, source)
    seen: dict[int, int] = {}
    sock = None
    for number in range(REQUESTS):
        host = simulator.dps if number % 50 < 35 else simulator.hub
        if sock is None or number % 50 in (0, 35):
            if sock:
                sock.close()
            sock = connect(device, host, source.random() < 0.9)
            sock.settimeout(TIMEOUT_S)
        data = fuzzer.request(host)
        # What follows a spoilt length is the end of the stream.
        try:
            sock.sendall(data)
            sock.settimeout(0.25)
            answer = sock.recv(65536)
            while b"\r\n\r\n" not in answer and answer:
                answer += sock.recv(65536)
        except (TimeoutError, OSError):
            answer = b""
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
        if found:
            status = int(found[1])
            seen[status] = seen.get(status, 0) + 1
            assert status in DOCUMENTED, (status, data, answer)
        else:
            sock.close()
            sock = None
    if sock:
        sock.close()
    assert sum(seen.values()) > 0.8 * REQUESTS, seen
    assert {200, 202, 204, 400, 401, 404, 405} <= set(seen), seen


def test_thousand_idle_connections(simulator, device):
    with contextlib.ExitStack() as stack:
        host, port = simulator.hub.rsplit(":", 1)
        for _ in range(IDLE // 2):
            stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT_S))
        for _ in range(IDLE // 2):
            stack.enter_context(connect(device, simulator.hub))
        for _ in range(10):
            assert device.send().status_code == 204


def test_client_that_stops_reading(simulator, device):
    """It sends requests as long as they are taken, and reads nothing; others are served on."""
    request = f"GET /{'x' * 4000} HTTP/1.1\r\nHost: {simulator.hub}\r\n\r\n".encode()
    with connect(device, simulator.hub) as sock:
        sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                sock.sendall(request)
                sent += len(request)
        assert sent < 50_000_000  # it is not read without end
        assert device.send().status_code == 204


def test_body_over_the_limit_is_not_kept(simulator, device):
    """No more than the limit is stored; the answer comes all the same."""
    size = 64 * 1024 * 1024
    pid = int(subprocess.check_output(["pgrep", "-f", str(simulator.state)]).split()[0])
    before = memory_kb(pid)
    with connect(device, simulator.hub) as sock:
        path = f"/devices/{device.name}/messages/events?api-version=2020-03-13"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        sock.sendall(head.encode())
        piece = bytes(1024 * 1024)
        for _ in range(size // len(piece)):
            sock.sendall(piece)
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
    assert memory_kb(pid) - before < 16 * 1024


def memory_kb(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])


def test_requests_that_are_none(simulator, device):
    for data in (
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"\r\n" * 1000,
        b"x" * 70_000,
    ):
        with connect(device, simulator.dps) as sock:
            sock.settimeout(TIMEOUT_S)
            with contextlib.suppress(OSError):  # it may close while we still send
                sock.sendall(data)
                sock.sendall(b"\r\n\r\n")
                answer = sock.recv(100)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_handshake_that_is_none(simulator):
    host, port = simulator.dps.rsplit(":", 1)
    for data in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(2000),
        b"\x16\x03\x01\xff\xff" + bytes(9),
    ):
        with (
            socket.create_connection((host, int(port)), TIMEOUT_S) as sock,
            contextlib.suppress(OSError),
        ):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(100)


def test_forged_chain_is_refused(simulator, device):
    """An issuer of the enrolled one's name, with another key."""
    impostor = issue("microdps test intermediate", ca=True)
    pair = issue(device.name, impostor)
    folder = simulator.folder / "forged"
    write_files(folder, device_files(pair, [impostor.cert]), force=True)
    forged = Device(simulator, device.name, folder)
    answer = forged.register()
    assert (answer.status_code, answer.json()["errorCode"]) == (401, 401002)
    assert forged.send().status_code == 401
