"""Hostile clients: random requests, a thousand idle connections, one that stops reading."""

import contextlib
import os
import random
import re
import socket
import subprocess

import pytest

from helpers.by_hand import TIMEOUT_S, Device
from helpers.fuzzer import Fuzzer
from helpers.hostile import assert_unhurt, connect, victim
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.files import write_files

# `make test-fuzz` sends more.
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "6"))
IDLE = 1000

# The statuses in the documentation of DPS and IoT Hub.
DOCUMENTED = {200, 202, 204, 400, 401, 403, 404, 405, 409, 411, 412, 413, 415, 429}


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with victim(tmp_path_factory, "victim-01") as device:
        yield device


@pytest.fixture(scope="module")
def simulator(device):
    return device.simulator


@pytest.fixture(autouse=True)
def unhurt(device):
    yield
    assert_unhurt(device)


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
            sock = connect(simulator, host, device.cert if source.random() < 0.9 else None)
            sock.settimeout(TIMEOUT_S)
        data = fuzzer.request(host)
        # After a wrong Content-Length, nothing more can be understood.
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
            stack.enter_context(connect(simulator, simulator.hub, device.cert))
        for _ in range(10):
            assert device.send().status_code == 204


def test_client_that_stops_reading(simulator, device):
    """It sends requests and reads nothing. Other clients are still served."""
    request = f"GET /{'x' * 4000} HTTP/1.1\r\nHost: {simulator.hub}\r\n\r\n".encode()
    with connect(simulator, simulator.hub, device.cert) as sock:
        sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                sock.sendall(request)
                sent += len(request)
        assert sent < 50_000_000  # the simulator stops reading
        assert device.send().status_code == 204


def test_body_over_the_limit_is_not_kept(simulator, device):
    """No more than the limit is stored. The answer is 413."""
    size = 64 * 1024 * 1024
    pid = int(subprocess.check_output(["pgrep", "-f", str(simulator.state)]).split()[0])
    before = memory_kb(pid)
    with connect(simulator, simulator.hub, device.cert) as sock:
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


def test_malformed_requests(simulator, device):
    for data in (
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"\r\n" * 1000,
        b"x" * 70_000,
    ):
        with connect(simulator, simulator.dps, device.cert) as sock:
            sock.settimeout(TIMEOUT_S)
            with contextlib.suppress(OSError):  # it may close while the test still sends
                sock.sendall(data)
                sock.sendall(b"\r\n\r\n")
                answer = sock.recv(100)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_malformed_handshakes(simulator):
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
    """Its issuer has the enrolled one's name, and another key."""
    impostor = issue("microdps test intermediate", ca=True)
    pair = issue(device.name, impostor)
    folder = simulator.folder / "forged"
    write_files(folder, device_files(pair, [impostor.cert]), force=True)
    forged = Device(simulator, device.name, folder)
    answer = forged.register()
    assert (answer.status_code, answer.json()["errorCode"]) == (401, 401002)
    assert forged.send().status_code == 401
