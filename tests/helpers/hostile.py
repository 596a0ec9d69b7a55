"""A simulator for clients that do not behave, and connections for them."""

import contextlib
import socket
import ssl
import time

from helpers.by_hand import enrolled_device
from helpers.simulators import enrolled, start_simulator

TIMEOUT_S = 20


@contextlib.contextmanager
def victim(tmp_path_factory, name: str):
    """A provisioned device and a simulator of its own, which no other test depends on."""
    folder = tmp_path_factory.mktemp(name)
    with start_simulator(folder, "--no-limits") as at:
        device = enrolled_device(enrolled(folder, at), name)
        device.provision()
        yield device


def assert_unhurt(device) -> None:
    """The simulator still takes a message, and has logged no traceback."""
    assert device.send().status_code == 204
    log = (device.simulator.state / "simulator.log").read_text()
    assert "Traceback" not in log
    assert "Unhandled" not in log


def connect(simulator, host: str, cert=None) -> ssl.SSLSocket:
    """A TLS connection to one of a simulator's ports. cert: files of a client certificate."""
    context = ssl.create_default_context(cafile=simulator.root)
    if cert:
        context.load_cert_chain(*cert)
    name, port = host.rsplit(":", 1)
    plain = socket.create_connection((name, int(port)), TIMEOUT_S)
    return context.wrap_socket(plain, server_hostname=name)


def log_lines(simulator, part: str) -> list[str]:
    """The lines of the log with a text. They come soon after the answer, so this waits for one."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        text = (simulator.state / "simulator.log").read_text()
        found = [line for line in text.split("\n")[:-1] if part in line]
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"the log has no line with {part!r}")
