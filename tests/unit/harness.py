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
    """An item of a script that is there before the next request: what a zero-wait read finds."""

    def __init__(self, item):
        self.item = item


class Peer:
    """Runs a flow against scripted connections, one list of items for each "open".

    An item is bytes, which may arrive in several reads; CLOSED; a number of ms that pass; an
    Idle; or an exception, to be thrown into the flow.
    After run(): opened [(name, port)], sent [bytes, one for each "send"], sent_at and slept [ms],
    closed (count), now (ms). A flow that wants more than the script has is an error.
    """

    def __init__(self, *connections, piece=1 << 30):
        self.connections = [list(items) for items in connections]
        self.items = []
        self.piece = piece
        self.opened = []
        self.sent = []
        self.sent_at = []
        self.slept = []
        self.closed = 0
        self.now = 1000

    def run(self, flow):
        answer = error = None
        while True:
            try:
                request = flow.throw(error) if error else flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = error = None
            try:
                what, argument, deadline = request
                answer = getattr(self, "do_" + what)(argument, deadline)
            except LinkError as failure:
                error = failure

    def left(self):
        """Items that no read has asked for."""
        return len(self.items) + sum(len(items) for items in self.connections)

    def do_now(self, _, __):
        return self.now

    def do_sleep(self, ms, _):
        assert ms >= 0
        self.slept.append(ms)
        self.now += ms

    def do_close(self, _, __):
        self.closed += 1
        self.items = []

    def do_open(self, host, deadline):
        name, port = host
        assert isinstance(name, str) and isinstance(port, int)
        self.opened.append((name, port))
        self.items = self.connections.pop(0)
        if self.items and isinstance(self.items[0], Exception):
            raise self.items.pop(0)

    def do_send(self, buffer, deadline):
        assert deadline > self.now
        self.sent.append(bytes(buffer))
        self.sent_at.append(self.now)
        if self.items and isinstance(self.items[0], Exception):
            raise self.items.pop(0)

    def do_recv(self, buffer, deadline):
        assert len(buffer) > 0
        if deadline is None:
            if not self.items or not isinstance(self.items[0], Idle):
                return None
            self.items[0] = self.items[0].item
        while isinstance(self.items[0], int):
            self.now += self.items.pop(0)
            if self.now >= deadline:
                raise LinkError("timeout-answer", "peer")
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
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
