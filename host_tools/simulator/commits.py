"""Answers wait for the disk together: what one turn of the reactor takes is one transaction."""

import contextlib

from twisted.internet import defer, reactor

from host_tools.simulator.store import Store


class Commits:
    """Groups the writes of the requests that arrive at once, and lets none be answered before."""

    def __init__(self, store: Store):
        self._store = store
        self._waiting: list[defer.Deferred] | None = None

    def begin(self) -> None:
        """What is written from now on is kept with the next commit, later in this turn."""
        if self._waiting is None:
            self._waiting = []
            self._store.begin()
            reactor.callLater(0, self._commit)  # type: ignore

    def kept(self) -> defer.Deferred:
        """Fires when all that was written since begin() is kept; fails as sqlite3 did."""
        done: defer.Deferred = defer.Deferred()
        if self._waiting is None:
            done.callback(None)
        else:
            self._waiting.append(done)
        return done

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        try:
            self._store.commit()
        except Exception as error:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._store.rollback()
            for done in waiting:
                done.errback(error)
            return
        for done in waiting:
            done.callback(None)
