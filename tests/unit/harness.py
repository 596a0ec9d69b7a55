"""Plays DPS and hub from a script: no sockets, and a clock of its own.

Runs on MicroPython too, like all of tests/unit.
"""

from microdps.errors import LinkError

try:
    from pytest import skip

    Skip = skip.Exception
except ImportError:

    class Skip(Exception):
        """Raised by a test that cannot run here; its argument says why."""


CLOSED = b""


class Idle:
    """An item of a script that is there before the next request: the driver finds it when it looks
    whether the connection is silent."""


class Peer:
    """Runs a flow against scripted connections, one list of items for each that is opened.

    An item is bytes, which may arrive in several reads; CLOSED; a number of ms that pass; an
    Idle; or an exception, to be thrown into the flow. One that stands where a request begins is
    thrown before it was written.
    After run(): opened [host, as the flow named it], sent [bytes, one for each "send"], sent_at
    and slept [ms], closed (by the flow; count), now (ms). A flow that wants more than the script
    has is an error.
    """

    def __init__(self, *connections, piece=1 << 30):
        self.connections = [list(items) for items in connections]
        self.items = []
        self.piece = piece
        self.host = None  # of the open connection
        self.opened = []
        self.sent = []
        self.sent_at = []
        self.slept = []
        self.closed = 0
        self.now = 1000
        self.deadline = 0

    def run(self, flow):
        answer = error = None
        while True:
            try:
                request = flow.throw(error) if error else flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = error = None
            what, argument = request
            try:
                answer = getattr(self, "do_" + what)(argument)
            except LinkError as failure:
                self.drop()
                error = failure

    def left(self):
        """Items that no read has asked for."""
        return len(self.items) + sum(len(items) for items in self.connections)

    def drop(self):
        self.host = None
        self.items = []

    def silent(self):
        """Is there nothing on the open connection that nobody asked for?"""
        return not (self.items and isinstance(self.items[0], Idle))

    def connect(self):
        self.items = self.connections.pop(0)

    def fail(self):
        """Raise what is scripted to fail here."""
        if self.items and isinstance(self.items[0], Exception):
            raise self.items.pop(0)

    def do_now(self, _):
        return self.now

    def do_sleep(self, ms):
        assert ms >= 0
        self.slept.append(ms)
        self.now += ms

    def do_close(self, _):
        self.closed += self.host is not None
        self.drop()

    def do_open(self, exchange):
        host, timeout_ms = exchange
        if timeout_ms is not None:
            assert timeout_ms > 0
            self.deadline = self.now + timeout_ms
        if host == self.host and self.silent():
            return True
        self.opened.append(host)
        self.host = host
        self.connect()
        self.fail()
        return False

    def do_send(self, buffer):
        assert self.host and len(buffer) > 0
        self.sent.append(bytes(buffer))
        self.sent_at.append(self.now)
        self.fail()

    def do_recv(self, buffer):
        assert self.host and len(buffer) > 0
        while isinstance(self.items[0], int):
            self.now += self.items.pop(0)
            if self.now >= self.deadline:
                self.now = self.deadline
                raise LinkError("timeout-answer", "peer")
        self.fail()
        if self.items[0] == CLOSED:
            return 0
        item = self.items.pop(0)
        n = min(len(item), len(buffer), self.piece)
        buffer[:n] = item[:n]
        if n < len(item):
            self.items.insert(0, item[n:])
        return n


def raised(function, *args):
    """The exception that a call raises. Fails if it raises none."""
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Random:
    """A generator of bytes that is the same everywhere (the constants of Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) % n

    def bytes(self, n):
        return bytes(self.below(256) for _ in range(n))
