"""The driver that runs flows (microdps.protocol.http lists what they ask for) over TLS, one
connection at a time.

It and connect.py own the sockets; link_error.py turns their exceptions into a LinkError.
All sockets are non-blocking: a blocking read waits for its last byte, and a time-out of a socket's
own starts anew with each packet, so only select.poll keeps a deadline. The look-up of a name is
covered by none: MicroPython has no time-out for it.
"""

import select
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

from microdps.errors import LinkError


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
        self.context = identity.context()
        self.feed = feed
        self.unasked = bytearray(1)  # what a silent peer sends
        self.ms = 0
        self.ticks = ticks_ms()

    def run(self, flow):
        """Run a flow to its end → what it returns. Raises what it raises; the link stays open."""
        answer = error = None
        try:
            while True:
                what, argument = flow.throw(error) if error else flow.send(answer)
                answer = error = None
                try:
                    answer = self.step(what, argument)
                except Exception as failure:  # a network stack may raise anything
                    error = self.failed(failure)
        except StopIteration as stop:
            return stop.value
        except MemoryError as failure:
            raise self.failed(failure, True)
        except KeyboardInterrupt:
            self.close()  # what is on its way is not the next flow's
            raise

    def step(self, what, argument):
        """Do what a flow asks for → the answer that the flow gets."""
        if what == "recv":
            return self.recv(argument)
        if what == "send":
            return self.send(argument)
        if what == "now":
            return self.now()
        if what == "open":
            return self.keeps(argument) or self.open()
        return self.close() if what == "close" else self.sleep(argument)

    def recv(self, buffer):
        while True:
            n = self.tls.readinto(buffer)
            if n is not None:
                return n
            # Nothing is buffered now, so the raw socket tells; the wrapper would poll in steps.
            self.wait(self.poll)

    def send(self, buffer):
        while buffer:
            n = self.tls.write(buffer)
            if n:
                self.phase = "answer"
                buffer = n < len(buffer) and buffer[n:]
                continue
            # CPython's tells which it waits for; in a handshake it may be a read.
            n = getattr(self.tls, "waits_for", select.POLLOUT)
            poll = select.poll()
            poll.register(self.tls, n)
            self.wait(poll)

    def open(self):
        from microdps.driver.connect import connect

        for _ in connect(self):
            self.wait(self.poll)
        return False

    def sleep(self, ms):
        while ms > 0:
            if self.feed:
                self.feed()
            sleep_ms(min(ms, 1000))
            ms -= 1000

    def now(self) -> int:
        """Milliseconds since the link was made. Never wraps, if called every six days."""
        ticks = ticks_ms()
        self.ms += ticks_diff(ticks, self.ticks)
        self.ticks = ticks
        return self.ms

    def close(self):
        """Close the connection, if there is one."""
        for stream in (self.tls, self.raw):
            if stream:
                stream.close()
        self.tls = self.raw = None

    def wait(self, poll):
        """Wait until what was registered is ready. Raises LinkError if that is too late."""
        if self.feed:
            self.feed()
        left = ticks_diff(self.deadline, ticks_ms())
        if left <= 0 or not poll.poll(left):
            raise LinkError("timeout-" + self.phase, self.where)

    # What follows never waits; microdps.aio shares it.

    def failed(self, failure, flow=False):
        """Close the connection → the error that an exception of the driver, or of the flow, is."""
        from microdps.driver.link_error import link_error

        return link_error(failure, self, flow)

    def keeps(self, exchange) -> bool:
        """Begin an exchange → does it go on with the connection that is open?"""
        host, timeout_ms = exchange
        if timeout_ms is not None:
            self.deadline = ticks_add(ticks_ms(), timeout_ms)
        if self.tls and self.where == host:
            try:
                if self.tls.readinto(self.unasked) is None:
                    return True
            except OSError:
                pass  # closed meanwhile
        self.close()
        self.where = host
        return False
