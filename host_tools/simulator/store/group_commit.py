"""Answers wait for the disk together: what a turn of the reactor takes is one transaction."""

import contextlib
from collections.abc import Callable

from twisted.internet import reactor
from twisted.python.failure import Failure

from .store import Store


class Commits:
    """Groups the writes of the requests that arrive at once, and lets none be answered before.

    log  a function that is handed a line for each request, or some lines at once
    """

    def __init__(self, store: Store, log: Callable[[str], None]):
        self._store = store
        self._log = log
        self._open = False
        self._waiting: list[tuple[Callable[[], None], Callable[[Failure], None]]] = []
        self._requests: list[tuple] = []
        self._lines: list[str] = []

    def begin(self) -> None:
        """What is written from now on is kept with the commit at the end of this turn."""
        if not self._open:
            self._open = True
            self._store.begin()
            reactor.callLater(0, self._commit)  # type: ignore

    def record(
        self, service: str, method: str, path: str, status: int, chain: tuple[str, ...], error: str
    ) -> None:
        """Keep what was asked and answered, and say it."""
        self.begin()
        self._requests.append((service, method, path, status, chain, error))
        self._lines.append(f"{service} {method} {path} {status} {error}".rstrip())

    def then(self, done: Callable[[], None], failed: Callable[[Failure], None]) -> None:
        """Call done once all is kept that was written since begin(), or failed if it cannot be."""
        self._waiting.append((done, failed))

    def _commit(self) -> None:
        self._open = False
        waiting, self._waiting = self._waiting, []
        requests, self._requests = self._requests, []
        lines, self._lines = self._lines, []
        failure = None
        try:
            self._store.add_requests(requests)
            self._store.commit()
        except Exception:
            failure = Failure()
            with contextlib.suppress(Exception):  # the first error is the one to tell
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
