"""Serves the simulator's page without a simulator.

HUB ...    the hubs' hosts that the page shows

Each line of its input, "PORT STATE", starts a page on a port (0: any) with the state in a folder.
The program prints the port, and ends at the end of its input.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from twisted.internet import reactor
from twisted.web.server import Site
from twisted.web.static import Data

from microdps_tools.simulator.page.page import Page
from microdps_tools.simulator.store.store import Store


def serve(port: int, state: Path) -> None:
    page = Page(Store(state), [SimpleNamespace(host=hub, connections={}) for hub in sys.argv[1:]])
    page.putChild(b"other", Data(b"other", "text/plain"))
    site = Site(page)
    site.log = lambda request: None
    print(reactor.listenTCP(port, site, interface="127.0.0.1").getHost().port, flush=True)


def read() -> None:
    for line in sys.stdin:
        port, state = line.rstrip("\n").split(" ", 1)
        reactor.callFromThread(serve, int(port), Path(state))
    reactor.callFromThread(reactor.stop)


reactor.callInThread(read)
reactor.run()
