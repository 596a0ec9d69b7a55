"""The driver that runs flows (microdps.http names what they ask for) over TLS, one link at a time.

The only module that owns sockets and TLS, and the only one that turns an OSError into a LinkError.
All sockets are non-blocking: a blocking read waits for its last byte, and a time-out of a socket's
own starts anew with each packet, so only select.poll keeps a deadline. The look-up of a name is
covered by none: MicroPython has no time-out for it.
"""

import gc
import select
import socket
from time import sleep_ms, ticks_diff, ticks_ms

import tls
from micropython import const

from microdps.errors import IdentityError, LinkError

# Numbers of the OSError of a connection that is being made: Linux, lwIP (ESP32), macOS.
_IN_PROGRESS = (115, 119, 36)

# IPPROTO_TCP and TCP_NODELAY: the same on Linux, macOS and lwIP, and not named on the Unix port.
_TCP = const(6)
_NODELAY = const(1)


def tls_context(identity):
    """A TLS context with the identity's key, chain and roots, which verifies the server.

    MicroPython takes one certificate from a DER blob, and appends with each call.
    Raises IdentityError if Mbed TLS refuses one of them.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    part = "key"
    try:
        key = identity.part("key")
        for cert in identity.chain():
            context.load_cert_chain(cert, key)
        part = "roots"
        for root in identity.roots():
            context.load_verify_locations(root)
    except ValueError as error:
        if "cert" in str(error) and part == "key":
            part = "cert"
        raise IdentityError("unreadable", identity.name(part))
    return context


class Link:
    """Runs flows, with at most one TLS connection open.

    feed  None, or a function that is called between steps, and once a second in a sleep
    """

    def __init__(self, identity, feed=None):
        self._context = tls_context(identity)
        self._poll = select.poll()
        self._events = getattr(self._poll, "ipoll", self._poll.poll)  # without a list, if it can
        self._watched = None  # the stream that is registered
        self.raw = self.tls = None
        self.where = ""  # the peer
        self.written = False  # has this connection carried a byte of ours, so is TLS set up?
        self._feed = feed
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
                # Looked up in the class: a bound method would be an allocation.
                answer = getattr(type(self), what)(self, argument, deadline)
            except (OSError, ValueError, LinkError) as failure:
                error = self._failed(failure)

    def _failed(self, error):
        """Close the connection → the LinkError for what ended it."""
        if not isinstance(error, LinkError):
            from microdps.failure import link_error

            error = link_error(error, self)
        self.close()
        return error

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
        if self._feed:
            self._feed()

    def close(self, _=None, __=None):
        """Close the connection, if there is one."""
        self._unwatch()
        for stream in (self.tls, self.raw):
            if stream is not None:
                stream.close()
        self.tls = self.raw = None

    def open(self, host, deadline: int):
        addresses = self._resolve(host)
        while not self.tls:
            try:
                self._begin(addresses.pop(0))
                self._connected(self._wait(self.raw, select.POLLOUT, deadline), host[0])
            except (OSError, LinkError):
                if not addresses:
                    raise

    def send(self, buffer, deadline: int):
        while True:
            n = self.tls.write(buffer)
            if n:
                self.written = True
                if n == len(buffer):
                    return
                buffer = memoryview(buffer)[n:]
            else:
                self._wait(self.tls, select.POLLOUT, deadline)

    def recv(self, buffer, deadline):
        while True:
            n = self.tls.readinto(buffer)
            if n is not None or deadline is None:
                return n
            # Nothing is buffered now, so the raw socket tells; the wrapper would poll in steps.
            self._wait(self.raw, select.POLLIN, deadline)

    def _wait(self, stream, flags: int, deadline: int) -> int:
        """Wait until the stream is ready → the flags that poll gave. Raises LinkError if late."""
        self._fed()
        self._watch(stream, getattr(stream, "waits_for", flags))  # CPython's tells, not its poll
        while True:
            for event in self._events(self._left(deadline)):
                return event[1]

    # What follows never waits; microdps.aio shares it.

    def _watch(self, stream, flags: int):
        if stream is self._watched:
            self._poll.modify(stream, flags)
        else:
            self._unwatch()
            self._poll.register(stream, flags)
            self._watched = stream

    def _unwatch(self):
        if self._watched:
            self._poll.unregister(self._watched)
            self._watched = None

    def _left(self, deadline: int) -> int:
        left = deadline - self.now()
        if left <= 0:
            raise LinkError("timeout-" + self.phase(), self.where)
        return left

    def phase(self) -> str:
        return "answer" if self.written else "handshake" if self.tls else "connect"

    def _resolve(self, host) -> list:
        """Addresses of a host, as getaddrinfo gives them."""
        self.close()
        self.written = False
        self.where = "%s:%d" % host
        return socket.getaddrinfo(host[0], host[1], 0, socket.SOCK_STREAM)

    def _begin(self, address):
        """Begin to connect."""
        self.close()
        self.raw = raw = socket.socket(address[0], address[1])
        raw.setblocking(False)
        raw.setsockopt(_TCP, _NODELAY, 1)
        try:
            raw.connect(address[-1])
        except OSError as error:
            if error.errno not in _IN_PROGRESS:
                raise

    def _connected(self, flags: int, name: str):
        """Put TLS on the connection, if there is one. The first write does the handshake."""
        if flags & (select.POLLERR | select.POLLHUP):
            raise LinkError("connect", self.where)
        gc.collect()  # Mbed TLS wants some 40 kB, which an old connection may still hold
        self.tls = self._context.wrap_socket(
            self.raw, server_hostname=name, do_handshake_on_connect=False
        )
