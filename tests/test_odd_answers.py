"""One odd answer among good ones, over real TLS, to a board's program in a heap of 128 K: it is
reported, and the next message is accepted."""

import os
import subprocess

import pytest

from helpers import peers
from helpers.board_folders import FAKE_MODULES
from microdps_tools import interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import issue
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.program import install_program
from microdps_tools.files import write_files

HEAP = "128k"
NAME = "odd-01"
MESSAGES = 4
ODD_MESSAGE = 2

GOOD = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


def response(status: int, body: bytes, fields: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\n" % status + fields
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def assigned(port: int, device_id: bytes = NAME.encode()) -> bytes:
    body = b'{"operationId":"1","status":"assigned","registrationState":{"assignedHub":'
    return response(200, body + b'"localhost:%d","deviceId":"%s"}}' % (port, device_id))


# Name → the answer to a message. Each breaks another expectation.
FROM_HUB = {
    "header that is no UTF-8": response(500, b"{}", b"x-ms-request-id: \xff\r\n"),
    "control characters in a header": response(500, b"{}", b"x-ms-request-id: a\x1b[31m\r\n"),
    "errorCode is a list": response(401, b'{"errorCode":[1]}'),
    "errorCode is an object": response(503, b'{"errorCode":{"a":{}},"message":7}'),
    "errorCode is huge": response(503, b'{"errorCode":' + b"9" * 900 + b"}"),
    "message is huge": response(503, b'{"errorCode":503001,"message":"' + b"m" * 3000 + b'"}'),
    "Location that fits no request": response(307, b"", b"Location: /" + b"a" * 3980 + b"\r\n"),
    "Location elsewhere": response(308, b"", b"Location: https://other.example/\r\n"),
    "nested too deep": response(500, b"[" * 3900),
    "nested objects": response(500, b'{"a":' * 700 + b"1" + b"}" * 700),
    "wide array": response(500, b"[" + b"1," * 1900 + b"1]"),
    "half of a surrogate pair": response(401, b'{"errorCode":401003,"message":"\\ud800"}'),
    "Retry-After without end": response(429, b"{}", b"Retry-After: " + b"9" * 300 + b"\r\n"),
    "no answer at all": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}
# The same for a registration. {port} is the peer's.
FROM_DPS = {
    "lines and colours in the device ID": lambda port: assigned(
        port, b"d\\r\\nassigned to evil as admin\\u001b[31m"
    ),
    "device ID is a number": lambda port: assigned(port).replace(b'"odd-01"', b"1234567."),
    "status is a list": lambda port: response(200, b'{"status":[]}'),
    "operation ID is an object": lambda port: response(
        202, b'{"status":"assigning","operationId":{}}'
    ),
}


class OddPeer:
    """DPS and a hub in one. It gives one odd answer, and counts the messages that it accepts."""

    def __init__(self, from_hub=None, from_dps=None):
        self.from_hub = from_hub
        self.from_dps = from_dps
        self.posts = self.accepted = 0
        self.port = 0

    def handle(self, connection):
        while request := peers.read_request(connection):
            answer = self.answer(request)
            if not answer:
                return
            connection.sendall(answer)

    def answer(self, request: bytes) -> bytes:
        if not request.startswith(b"POST"):
            odd, self.from_dps = self.from_dps, None
            return odd(self.port) if odd else assigned(self.port)
        self.posts += 1
        if self.from_hub is not None and self.posts == ODD_MESSAGE:
            return self.from_hub
        self.accepted += 1
        return GOOD


# The same by asyncio: each message is sent until it is accepted.
AIO = """
import asyncio
from microdps.aio import Device
from microdps.errors import Error
from microdps.identity import Identity

async def main(port):
    device = Device(
        Identity.from_files("identity/a"), "0ne00111111", {name!r}, f"localhost:{{port}}",
        log=print, transport="https",
    )
    for number in range({messages}):
        while True:
            try:
                await device.send({{"n": number}})
                break
            except Error as error:
                print("error:", error)
    print("done: {messages} messages sent")

asyncio.run(main({port}))
"""


@pytest.fixture
def board(tmp_path):
    """A function that runs a board's program, or a piece of code with the port, against a peer →
    what it printed."""
    root = issue("root", ca=True)
    folder = tmp_path / "board"
    made = tmp_path / "made"
    write_files(made, device_files(issue(NAME, root), []))
    write_files(tmp_path, {"root.pem": encoding.pem(root.cert)})
    write_identity(folder, made, str(tmp_path / "root.pem"))
    install_program(folder)
    context = peers.require_client(peers.server_context(tmp_path, root), root)

    def run(peer: OddPeer, code: str = "") -> str:
        with peers.listening(peers.tls(context, peer.handle)) as peer.port:
            settings = {"id_scope": "0ne00111111", "registration_id": NAME, "transport": "https"}
            settings |= {"host": f"localhost:{peer.port}", "messages": MESSAGES}
            write_config(folder, settings | {"interval_s": 0.02})
            given = code.format(name=NAME, messages=MESSAGES, port=peer.port)
            done = subprocess.run(
                [
                    *interpreter.micropython(HEAP).command,
                    *(("-c", given) if code else ["main.py"]),
                ],
                cwd=folder,
                env={**os.environ, "MICROPYPATH": f"{folder}:{FAKE_MODULES}:.frozen"},
                capture_output=True,
                timeout=120,
            )
        assert done.returncode == 0, done.stdout
        return done.stdout.decode("ascii", "backslashreplace")

    return run


def assert_printable(shown: str) -> None:
    assert all(char == "\n" or " " <= char <= "~" for char in shown)
    assert max(map(len, shown.splitlines())) < 1000


@pytest.mark.parametrize("name", FROM_HUB)
def test_odd_answer_of_a_hub(board, name):
    peer = OddPeer(from_hub=FROM_HUB[name])
    shown = board(peer)
    assert f"done: {MESSAGES} messages sent" in shown
    assert peer.accepted == MESSAGES
    assert "error: " in shown or "again in" in shown or "registering again" in shown
    assert "Traceback" not in shown
    assert_printable(shown)


@pytest.mark.parametrize("name", FROM_DPS)
def test_odd_answer_of_dps(board, name):
    peer = OddPeer(from_dps=FROM_DPS[name])
    shown = board(peer)
    assert peer.accepted == MESSAGES
    assert "error: localhost:" in shown and "Traceback" not in shown
    assert_printable(shown)


@pytest.mark.parametrize("name", FROM_HUB)
def test_odd_answer_under_asyncio(board, name):
    peer = OddPeer(from_hub=FROM_HUB[name])
    shown = board(peer, AIO)
    assert f"done: {MESSAGES} messages sent" in shown
    assert peer.accepted == MESSAGES
    assert_printable(shown)
