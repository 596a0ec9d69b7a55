"""The two kinds of serial port: a pseudo-terminal and a TCP socket."""

import errno
import os
import pty
import select
import socket
import tty
from typing import Protocol

from .. import ToolError


class Port(Protocol):
    """One end of a serial line. Bytes that are written while nobody has it open are lost.

    name  as mpremote takes it
    out   file descriptor that is writable when write() takes more
    """

    name: str

    @property
    def out(self) -> int: ...

    def fileno(self) -> int:
        """Readable when read() has something to do."""

    def read(self) -> bytes:
        """The bytes that have come, if any."""

    def write(self, data: bytes) -> bytes:
        """Write → the bytes that did not fit yet."""

    def close(self) -> None: ...


class Terminal:
    """A pseudo-terminal."""

    def __init__(self):
        self.out, slave = pty.openpty()
        self.name = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)
        os.set_blocking(self.out, False)
        # While nobody has the other end open, this end always reports an error. So it must be
        # edge-triggered: only changes count.
        self._changes = select.epoll()
        self._changes.register(self.out, select.EPOLLIN | select.EPOLLET)
        self._state = select.poll()
        self._state.register(self.out, 0)

    def fileno(self) -> int:
        return self._changes.fileno()

    def read(self) -> bytes:
        self._changes.poll(0)
        data = b""
        try:
            while more := os.read(self.out, 4096):
                data += more
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:  # nobody has it open
                raise
        return data

    def write(self, data: bytes) -> bytes:
        if any(event & select.POLLHUP for _, event in self._state.poll(0)):
            return b""
        try:
            return data[os.write(self.out, data) :]
        except BlockingIOError:
            return data

    def close(self) -> None:
        self._changes.close()
        os.close(self.out)


class Listener:
    """A TCP socket with one client at a time. The next client waits until the first one leaves."""

    def __init__(self, host: str, port: int):
        try:
            self._listener = socket.create_server((host, port))
        except OSError as error:
            raise ToolError(
                f"cannot listen on {host}:{port} ({error.strerror}): name another port"
            ) from error
        self.name = f"socket://{host}:{self._listener.getsockname()[1]}"
        self._client: socket.socket | None = None

    def fileno(self) -> int:
        return (self._client or self._listener).fileno()

    @property
    def out(self) -> int:
        return self.fileno()

    def read(self) -> bytes:
        if not self._client:
            self._client, _ = self._listener.accept()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client.setblocking(False)
            return b""
        try:
            data = self._client.recv(4096)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def write(self, data: bytes) -> bytes:
        if not self._client:
            return b""
        try:
            return data[self._client.send(data) :]
        except BlockingIOError:
            return data
        except (BrokenPipeError, ConnectionResetError):
            self._hang_up()
            return b""

    def _hang_up(self) -> None:
        if self._client:
            self._client.close()
            self._client = None

    def close(self) -> None:
        self._hang_up()
        self._listener.close()
