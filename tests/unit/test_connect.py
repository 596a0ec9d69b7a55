"""Opening a connection: each address is tried, and each number that means "in progress"."""

import sys

from harness import raised
from microdps.errors import LinkError


class Raw:
    """A socket. error: what connect() raises."""

    def __init__(self, net, error):
        self.net = net
        self.error = error
        self.closed = False
        self.options = []

    def setblocking(self, flag):
        self.blocking = flag

    def setsockopt(self, *option):
        self.options.append(option)

    def connect(self, address):
        self.net.tried.append(address)
        if self.error:
            raise self.error

    def close(self):
        self.closed = True


class Net:
    """The modules socket and select. addresses: (address, what connect() raises, event)."""

    SOCK_STREAM = 1
    POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16

    def __init__(self, *addresses):
        self.addresses = list(addresses)
        self.tried = []
        self.raws = []
        self.asked = None

    def getaddrinfo(self, name, port, family, kind):
        self.asked = name, port, family, kind
        return [(2, kind, 0, "", one[0]) for one in self.addresses]

    def socket(self, family, kind):
        assert (family, kind) == (2, 1)
        self.raws.append(Raw(self, self.addresses[len(self.raws)][1]))
        return self.raws[-1]

    def poll(self, timeout=None):
        if timeout is None:
            return self
        assert timeout == 0
        event = self.addresses[len(self.raws) - 1][2]
        return [(self.raws[-1], event)] if event else []

    def register(self, raw, flags):
        assert flags == self.POLLOUT
        self.registered = raw

    def modify(self, raw, flags):
        assert raw is self.raws[-1] and flags == self.POLLIN


class Link:
    """What connect() uses of a link."""

    raw = tls = None
    phase = ""

    def __init__(self, where):
        self.where = where
        self.context = self

    def wrap_socket(self, raw, server_hostname, do_handshake_on_connect):
        assert not do_handshake_on_connect
        return ("tls", raw, server_hostname)

    def close(self):
        if self.raw:
            self.raw.close()
        self.raw = self.tls = None


def connected(net, where="peer:8443"):
    """Connect on a net → the link."""
    names = ("socket", "select")
    before = {name: sys.modules.get(name) for name in names + ("microdps.driver.connect",)}
    for name in names:
        sys.modules[name] = net
    sys.modules.pop("microdps.driver.connect", None)
    try:
        module = __import__("microdps.driver.connect", None, None, ["connect"])
        link = Link(where)
        for _ in module.connect(link):
            pass
        return link
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def test_connection_is_opened_and_wrapped():
    net = Net(("a", None, 4))
    link = connected(net)
    assert net.asked == ("peer", 8443, 0, 1)
    assert link.tls == ("tls", net.raws[0], "peer") and link.phase == "handshake"
    assert net.raws[0].options == [(6, 1, 1)]  # IPPROTO_TCP, TCP_NODELAY
    assert net.raws[0].blocking is False
    connected(net := Net(("a", None, 4)), "peer")
    assert net.asked[:2] == ("peer", 443)


def test_connection_that_is_in_progress_is_waited_for():
    for number in (115, 119, 36):
        assert connected(Net(("a", OSError(number, ""), 4))).tls
    for number in (111, 114, 116, 118, 120, 35, 37):
        error = raised(connected, Net(("a", OSError(number, ""), 4)))
        assert isinstance(error, OSError) and error.errno == number


def test_next_address_is_tried():
    net = Net(("a", OSError(101, ""), 4), ("b", None, 8), ("c", None, 16), ("d", None, 4))
    link = connected(net)
    assert net.tried == ["a", "b", "c", "d"]
    assert link.raw is net.raws[3]
    assert [raw.closed for raw in net.raws] == [True, True, True, False]


def test_last_address_that_fails_is_the_error():
    error = raised(connected, Net(("a", None, 4 | 8)))
    assert isinstance(error, LinkError) and error.args == ("connect", "peer:8443")
