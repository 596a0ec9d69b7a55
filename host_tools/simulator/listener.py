"""Listen on the simulator's ports."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet import reactor
from twisted.internet.error import CannotListenError

from .. import ToolError
from .server_certificate import LOOPBACK
from .tls import ServerTLS

# How often to try for two free ports in a row.
PAIR_ATTEMPTS = 20

# How many connections may wait until they are accepted.
BACKLOG = 1024


def address_of(host: str) -> str:
    """The address to listen on: loopback, unless another host is given. Raises ToolError."""
    if host == "localhost":
        return LOOPBACK
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        raise ToolError(f"--host {host} has no address ({error}): name another host") from error


@dataclass
class Listener:
    """Listens on one address, which clients know by a name."""

    name: str
    address: str

    @classmethod
    def of(cls, host: str) -> "Listener":
        """A listener for a host name or an address. Raises ToolError."""
        name = host.lower()
        return cls(name, address_of(name))

    def listen_pair(
        self, port: int, tls: ServerTLS, factory, next_tls: ServerTLS, next_factory
    ) -> str:
        """Listen on a port and on the next one → the first one's host. Raises ToolError."""
        for left in range(PAIR_ATTEMPTS, 0, -1):
            first = self.listen(port, tls, factory)
            try:
                self.listen(first.getHost().port + 1, next_tls, next_factory)
                break
            except ToolError:
                first.stopListening()
                if port or left == 1:
                    raise
        return self.host(first)

    def listen(self, port: int, tls: Any, factory):
        """Listen on a port; 0: any free one. Raises ToolError."""
        with _tool_errors(port, self.address):
            return reactor.listenSSL(  # type: ignore[attr-defined]
                port, factory, tls, interface=self.address, backlog=BACKLOG
            )

    def listen_plain(self, port: int, factory):
        """Listen without TLS, on loopback only. Raises ToolError."""
        with _tool_errors(port, LOOPBACK):
            return reactor.listenTCP(port, factory, interface=LOOPBACK)  # type: ignore

    def host(self, listening) -> str:
        """Name and port of a port that listens."""
        return f"{self.name}:{listening.getHost().port}"


@contextlib.contextmanager
def _tool_errors(port: int, address: str) -> Iterator[None]:
    """Turn Twisted's exception into a ToolError."""
    try:
        yield
    except CannotListenError as error:
        if error.socketError.errno == errno.EACCES:
            raise ToolError(
                f"this user may not listen on port {port}. To allow it on Linux, run"
                f" 'sudo sysctl net.ipv4.ip_unprivileged_port_start={port}' (for all programs,"
                " until the next boot), or 'sudo setcap cap_net_bind_service=+ep"
                ' "$(realpath .venv/bin/python)"\' (for this Python); or start the simulator'
                " as root"
            ) from error
        raise ToolError(
            f"cannot listen on port {port} ({error.socketError.strerror} on {address}): stop the"
            " program that uses it, or choose other ports with --dps-port, --dps-mqtt-port,"
            " --hub-port (a hub's MQTT is on the next port, and the next hub on the port after"
            " that) and --page-port; and give an address of this machine with --host, such as"
            " 127.0.0.2 with --names azure"
        ) from error
