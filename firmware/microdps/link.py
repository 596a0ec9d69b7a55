"""The driver that runs flows (microdps.http names what they ask for) over TLS, one link at a time.

The only module that owns sockets and TLS, and the only one that turns an OSError into a LinkError.
All sockets are non-blocking: a blocking read waits for its last byte, and a time-out of a socket's
own starts anew with each packet, so only select.poll keeps a deadline. The look-up of a name is
covered by none: MicroPython has no time-out for it.
"""

import gc
import select
import socket
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

import tls
from micropython import const

from microdps.errors import IdentityError, LinkError

# Numbers of the OSError of a connection that is being made: Linux, lwIP (ESP32), macOS.
_IN_PROGRESS = (115, 119, 36)

# IPPROTO_TCP and TCP_NODELAY: the same on Linux, macOS and lwIP, and not named on the Unix port.
_TCP = const(6)
_NODELAY = const(1)


class Link:
    """Runs flows, with at most one TLS connection open.

    feed   None, or a function that is called between steps, and once a second in a sleep
    where  the peer, as the flow named it
    phase  what the connection waits for: "connect", "handshake", and "answer" once it has carried
           a byte of ours, so that TLS is set up
    """

    raw = tls = None
    where = phase = ""

    def __init__(self, identity, feed=None):
        """Raises IdentityError if Mbed TLS refuses the key, a certificate or a root."""
        self._context = context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        part = "key"
        try:
            key = identity.part(part)
            # It takes one certificate from a DER blob, and appends with each call.
            for cert in identity.certs("cert"):
                context.load_cert_chain(cert, key)
            part = "roots"
            for root in identity.certs("roots"):
                context.load_verify_locations(root)
        except ValueError as error:
            if part == "key" and "cert" in str(error):
                part = "cert"
            raise IdentityError("unreadable", identity.name(part))
        self._feed = feed
        self._unasked = bytearray(1)  # what a silent peer sends
        self._now = 0
        self._ticks = ticks_ms()

    def run(self, flow):
        """Run a flow to its end → what it returns. Raises what it raises; the link stays open."""
        answer = error = None
        try:
            while True:
                what, argument = flow.throw(error) if error else flow.send(answer)
                answer = error = None
                try:
                    if what == "recv":
                        while True:
                            answer = self.tls.readinto(argument)
                            if answer is not None:
                                break
                            # Nothing is buffered now, so the raw socket tells; the wrapper would
                            # poll in steps.
                            self._wait(self._poll)
                    elif what == "send":
                        while argument:
                            n = self.tls.write(argument)
                            if n:
                                self.phase = "answer"
                                argument = n < len(argument) and argument[n:]
                                continue
                            # CPython's tells which it waits for; in a handshake it may be a read.
                            flags = getattr(self.tls, "waits_for", select.POLLOUT)
                            poll = select.poll()
                            poll.register(self.tls, flags)
                            self._wait(poll)
                    elif what == "open":
                        answer = self._kept(argument)
                        if not answer:
                            for _ in self._opening():
                                self._wait(self._poll)
                    elif what == "now":
                        answer = self.now()
                    elif what == "close":
                        self.close()
                    else:
                        while argument > 0:
                            if self._feed:
                                self._feed()
                            sleep_ms(min(argument, 1000))
                            argument -= 1000
                except (OSError, ValueError, LinkError) as failure:
                    error = self._failed(failure)
        except StopIteration as stop:
            return stop.value
        except (KeyboardInterrupt, MemoryError):
            self.close()  # what is on its way is not the next flow's
            raise

    def now(self) -> int:
        """Milliseconds since the link was made. Never wraps, if called every six days."""
        ticks = ticks_ms()
        self._now += ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now

    def close(self):
        """Close the connection, if there is one."""
        for stream in (self.tls, self.raw):
            if stream:
                stream.close()
        self.tls = self.raw = None

    def _wait(self, poll):
        """Wait until what was registered is ready. Raises LinkError if that is too late."""
        if self._feed:
            self._feed()
        left = ticks_diff(self._deadline, ticks_ms())
        if left <= 0 or not poll.poll(left):
            raise LinkError("timeout-" + self.phase, self.where)

    # What follows never waits; microdps.aio shares it.

    def _failed(self, failure):
        """Close the connection → the LinkError that is thrown into the flow."""
        from microdps.failure import link_error

        error = link_error(failure, self)
        self.close()
        return error

    def _kept(self, exchange) -> bool:
        """Begin an exchange → does it go on with the connection that is open?"""
        host, timeout_ms = exchange
        if timeout_ms is not None:
            self._deadline = ticks_add(ticks_ms(), timeout_ms)
        if self.tls and self.where == host:
            try:
                if self.tls.readinto(self._unasked) is None:
                    return True
            except OSError:
                pass  # closed meanwhile
        self.close()
        self.where = host
        return False

    def _opening(self):
        """Open a connection to the first of the peer's addresses that takes it. A generator, which
        yields where the driver has to wait until the raw socket can be written. The first write
        does the handshake."""
        name, _, port = self.where.partition(":")
        addresses = socket.getaddrinfo(name, int(port or 443), 0, socket.SOCK_STREAM)
        while True:
            self.close()
            self.phase = "connect"
            address = addresses.pop(0)
            self.raw = raw = socket.socket(address[0], address[1])
            raw.setblocking(False)
            raw.setsockopt(_TCP, _NODELAY, 1)
            self._poll = poll = select.poll()
            poll.register(raw, select.POLLOUT)
            try:
                try:
                    raw.connect(address[-1])
                except OSError as error:
                    if error.errno not in _IN_PROGRESS:
                        raise
                events = None
                while not events:
                    yield
                    events = poll.poll(0)
                if events[0][1] & (select.POLLERR | select.POLLHUP):
                    raise LinkError("connect", self.where)
                break
            except (OSError, LinkError):
                if not addresses:
                    raise
        poll.modify(raw, select.POLLIN)
        gc.collect()  # Mbed TLS wants some 40 kB, which an old connection may still hold
        self.tls = self._context.wrap_socket(
            raw, server_hostname=name, do_handshake_on_connect=False
        )
        self.phase = "handshake"
