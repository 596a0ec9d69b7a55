"""Opening a connection. Loaded when there is none that can be kept."""

import gc
import select
import socket

from micropython import const

from microdps.errors import LinkError

# Numbers of the OSError of a connection that is being made: Linux, lwIP (ESP32), macOS.
_IN_PROGRESS = const((115, 119, 36))

# IPPROTO_TCP and TCP_NODELAY: the same on Linux, macOS and lwIP, and not named on the Unix port.
_TCP = const(6)
_NODELAY = const(1)


def connect(link):
    """Open a link's connection to the first of the peer's addresses that takes it. A generator,
    which yields where the driver has to wait until the raw socket can be written. The first write
    does the handshake.

    link  microdps.driver.link.Link; its where names the peer
    """
    link.phase = "connect"
    name, _, port = link.where.partition(":")
    addresses = socket.getaddrinfo(name, int(port or 443), 0, socket.SOCK_STREAM)
    while True:
        link.close()
        address = addresses.pop(0)
        link.raw = raw = socket.socket(address[0], address[1])
        raw.setblocking(False)
        raw.setsockopt(_TCP, _NODELAY, 1)
        link.poll = poll = select.poll()
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
                raise LinkError("connect", link.where)
            break
        except (OSError, LinkError):
            if not addresses:
                raise
    poll.modify(raw, select.POLLIN)
    gc.collect()  # Mbed TLS wants some 40 kB, which an old connection may still hold
    link.tls = link.context.wrap_socket(raw, server_hostname=name, do_handshake_on_connect=False)
    link.phase = "handshake"
