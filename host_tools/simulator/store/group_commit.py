"""Group commit: the writes of all requests that arrive together are one transaction.

No request is answered before its writes are committed.
"""

import contextlib
import functools
from collections.abc import Callable

from twisted.internet import reactor
from twisted.python.failure import Failure

from .printable import printable
from .store import Store

# How many characters of a request's texts are kept, and how many names of its chain.
METHOD_LIMIT = 20
PATH_LIMIT = 400
ERROR_LIMIT = 800
NAME_LIMIT = 64
CHAIN_LIMIT = 10


@functools.lru_cache(4096)
def _entry(
    service: str, method: str, path: str, status: int, chain: tuple[str, ...], error: str
) -> tuple[tuple, str]:
    """A request as it is kept, and its line in the log. Most requests equal an earlier one."""
    method, path = printable(method, METHOD_LIMIT), printable(path, PATH_LIMIT)
    error = printable(error, ERROR_LIMIT)
    chain = tuple(printable(name, NAME_LIMIT) for name in chain[:CHAIN_LIMIT])
    line = f"{service} {method} {path} {status} {error}".rstrip()
    return (service, method, path, status, chain, error), line


class GroupCommit:
    """Commits once in each turn of the reactor.

    log  a function that takes one or more lines: one for each request
    """

    def __init__(self, store: Store, log: Callable[[str], None]):
        self._store = store
        self._log = log
        self._open = False
        self._waiting: list[tuple[Callable[[], None], Callable[[Failure], None]]] = []
        self._requests: list[tuple] = []
        self._lines: list[str] = []

    def begin(self) -> None:
        """Begin a transaction, unless one is open. It is committed at the end of this turn."""
        if not self._open:
            self._open = True
            self._store.begin()
            reactor.callLater(0, self._commit)  # type: ignore

    def record(
        self, service: str, method: str, path: str, status: int, chain: tuple[str, ...], error: str
    ) -> None:
        """Keep a request, and log it. All texts are cut, and made printable."""
        self.begin()
        request, line = _entry(service, method, path, status, chain, error)
        self._requests.append(request)
        self._lines.append(line)

    def then(self, done: Callable[[], None], failed: Callable[[Failure], None]) -> None:
        """After the commit, call done; if the commit fails, call failed."""
        self._waiting.append((done, failed))

    def _commit(self) -> None:
        self._open = False
        waiting, self._waiting = self._waiting, []
        requests, self._requests = self._requests, []
        lines, self._lines = self._lines, []
        failure = None
        try:
            self._store.requests.add(requests)
            self._store.commit()
        except Exception:
            failure = Failure()
            with contextlib.suppress(Exception):  # the first error is the one to report
                self._store.rollback()
        for done, failed in waiting:
            if failure:
                failed(failure)
                continue
            try:
                done()
            except Exception:
                failed(Failure())
        if lines:
            self._log("\n".join(lines))
