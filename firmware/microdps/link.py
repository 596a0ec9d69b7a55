"""The driver that runs flows (microdps.http names what they ask for) over TLS, one link at a time.

The only module that owns sockets and TLS, and the only one that turns an OSError into a LinkError.
All sockets are non-blocking: a blocking read waits for its last byte, and a time-out of a socket's
own starts anew with each packet, so only select.poll keeps a deadline. The look-up of a name is
covered by none: MicroPython has no time-out for it.
"""

import gc
import select
import socket
import sys
import time

import tls
from micropython import const

from microdps.errors import IdentityError, LinkError

if sys.implementation.name == "micropython":
    from select import poll
    from time import sleep_ms, ticks_diff, ticks_ms
else:
    from microdps.cpython import poll, sleep_ms, ticks_diff, ticks_ms  # type: ignore

# Numbers of an OSError. MicroPython up to 1.27 negates those of a TLS socket's reads and writes.
_IN_PROGRESS = (115, 119, 36)  # Linux, lwIP (ESP32), macOS
_ALERT = const(-30592)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
_CLOSED = const(-29312)  # MBEDTLS_ERR_SSL_CONN_EOF
_RESET = (32, 104, 54, 128)  # EPIPE, ECONNRESET (Linux, lwIP; macOS), ENOTCONN (lwIP)

# IPPROTO_TCP and TCP_NODELAY: the same on Linux, macOS and lwIP, and not named on the Unix port.
_TCP = const(6)
_NODELAY = const(1)

# A clock before this year was never set: no certificate would be valid.
_FIRST_YEAR = const(2025)


def tls_context(identity):
    """A TLS context with the identity's key, chain and roots, which verifies the server.

    MicroPython takes one certificate from a DER blob, and appends with each call.
    Raises IdentityError if Mbed TLS refuses one of them.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    part = "key"
    try:
        key = identity.key()
        for cert in identity.chain():
            context.load_cert_chain(cert, key)
        part = "roots"
        for root in identity.roots():
            context.load_verify_locations(root)
    except ValueError as error:
        name = "cert" if "cert" in str(error) and part == "key" else part
        raise IdentityError("unreadable", identity.name(name))
    return context


class Link:
    """Runs flows, with at most one TLS connection open."""

    def __init__(self, identity):
        self._context = tls_context(identity)
        self._poll = poll()
        self._raw = self._tls = None
        self._where = ""
        self._written = False  # has this connection carried a byte of ours, so is TLS set up?
        self.feed = None  # called between steps, and once a second in a sleep: for a watchdog
        self._now = 0
        self._ticks = ticks_ms()

    def run(self, flow):
        """Run a flow to its end → what it returns. Raises what it raises; the link stays open."""
        answer = error = None
        while True:
            try:
                request = flow.throw(error) if error else flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = error = None
            what, argument, deadline = request
            try:
                answer = getattr(self, what)(argument, deadline)
            except LinkError as failure:
                self.close()
                error = failure

    def now(self, _=None, __=None) -> int:
        """Milliseconds since the link was made. Never wraps, if called every six days."""
        ticks = ticks_ms()
        self._now += ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now

    def sleep(self, ms: int, _):
        while ms > 0:
            self._fed()
            sleep_ms(min(ms, 1000))
            ms -= 1000

    def _fed(self):
        if self.feed:
            self.feed()

    def close(self, _=None, __=None):
        """Close the connection, if there is one."""
        for stream in (self._tls, self._raw):
            if stream is not None:
                stream.close()
        self._tls = self._raw = None

    def open(self, host, deadline: int):
        addresses = self._resolve(host)
        while True:
            try:
                self._begin(addresses.pop(0))
                self._connected(self._wait(self._raw, select.POLLOUT, deadline, "connect"))
                break
            except LinkError:
                self.close()
                if not addresses:
                    raise
        self._wrap(host[0])

    def send(self, buffer, deadline: int):
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            n = self._write(view[done:])
            done += n
            if not n:
                self._wait(self._tls, select.POLLOUT, deadline, self._phase())

    def recv(self, buffer, deadline):
        while True:
            n = self._read(buffer)
            if n is not None or deadline is None:
                return n
            # Nothing is buffered now, so the raw socket tells; the wrapper would poll in steps.
            self._wait(self._raw, select.POLLIN, deadline, "answer")

    def _wait(self, stream, flags: int, deadline: int, phase: str) -> int:
        """Wait until the stream is ready → the flags that poll gave. Raises LinkError if late."""
        self._fed()
        self._poll.register(stream, flags)
        try:
            while True:
                for event in self._poll.poll(self._left(deadline, phase)):
                    return event[1]
        finally:
            self._poll.unregister(stream)

    # What follows never waits; microdps.aio shares it.

    def _left(self, deadline: int, phase: str) -> int:
        left = deadline - self.now()
        if left <= 0:
            raise LinkError("timeout-" + phase, self._where)
        return left

    def _phase(self) -> str:
        return "answer" if self._written else "handshake"

    def _resolve(self, host) -> list:
        """Addresses of a host, as getaddrinfo gives them. The clock must be set by now."""
        self.close()
        self._where = "%s:%d" % host
        if time.gmtime()[0] < _FIRST_YEAR:
            raise LinkError("clock", self._where)
        try:
            return socket.getaddrinfo(host[0], host[1], 0, socket.SOCK_STREAM)
        except OSError:
            raise LinkError("dns", self._where)

    def _begin(self, address):
        """Begin to connect."""
        self._raw = raw = socket.socket(address[0], address[1])
        raw.setblocking(False)
        try:
            raw.setsockopt(_TCP, _NODELAY, 1)
            raw.connect(address[-1])
        except OSError as error:
            if error.errno not in _IN_PROGRESS:
                raise LinkError("connect", "%s: %s" % (self._where, error))

    def _connected(self, flags: int):
        if flags & (select.POLLERR | select.POLLHUP):
            raise LinkError("connect", self._where)

    def _wrap(self, name: str):
        """Put TLS on the connection. The first write does the handshake."""
        gc.collect()  # Mbed TLS wants some 40 kB, which an old connection may still hold
        self._written = False
        try:
            self._tls = self._context.wrap_socket(
                self._raw, server_hostname=name, do_handshake_on_connect=False
            )
        except OSError as error:
            self._fail(error)

    def _write(self, view) -> int:
        try:
            n = self._tls.write(view) or 0
        except (OSError, ValueError) as error:
            self._fail(error)
        if n:
            self._written = True
        return n

    def _read(self, buffer):
        try:
            return self._tls.readinto(buffer)
        except OSError as error:
            self._fail(error)

    def _fail(self, error):
        """Raise the LinkError for an exception of the TLS socket.

        A ValueError is a refused server certificate; its text is Mbed TLS's list of reasons.
        Before our first byte was written, it is the handshake that failed.
        """
        if isinstance(error, ValueError):
            reason = str(error).strip().replace("\n", ", ")
            raise LinkError("server-certificate", "%s: %s" % (self._where, reason))
        code = error.errno
        if -256 < code < 0:
            code = -code
        if not self._written:
            raise LinkError("handshake", "%s: %d" % (self._where, code))
        if code == _ALERT:
            raise LinkError("alert", self._where)
        if code == _CLOSED or code in _RESET:
            raise LinkError("closed", self._where)
        raise LinkError("broken", "%s: %d" % (self._where, code))
