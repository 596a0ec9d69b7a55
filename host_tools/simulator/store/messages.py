"""Accepted messages (telemetry) and requests in the store.

Messages are numbered without gaps, in the order in which they were accepted.
"""

import bisect
import functools
import json
import sqlite3
import time
from collections.abc import Iterator

from .database import fetch_value

# How many of the last requests are kept, and after how many new ones the older ones are deleted.
REQUESTS_KEPT = 20_000
SWEEP_INTERVAL = 1_000

# Messages are deleted so that this part of the limit is free again.
TRIM = 100

# The names in a chain as JSON. Most requests have the same ones.
_to_json = functools.lru_cache(10_000)(json.dumps)


@functools.lru_cache(10_000)
def _object_to_json(items: tuple[tuple[str, str], ...]) -> str:
    """An object of these names and values. Most messages have the same properties."""
    return json.dumps(dict(items))


class Messages:
    """The messages that the hubs have accepted."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self._limits: tuple[int, int] | None = None
        self._count = self._size = 0
        self._pending: list[tuple[float, str, str, str, bytes]] = []
        self._heard: dict[tuple[str, str], float] = {}
        self._heard_to = 0

    def add(self, hub: str, device_id: str, properties: dict, body: bytes) -> None:
        text = _object_to_json(tuple(properties.items()))
        self._pending.append((time.time(), hub.lower(), device_id, text, body))
        self._size += len(text) + len(body)
        if not self._db.in_transaction:
            self.flush()

    def flush(self) -> None:
        """Write the messages of a transaction: together, they cost half as much."""
        pending, self._pending = self._pending, []
        self._db.executemany(
            "INSERT INTO messages (at, hub, device_id, properties, body) VALUES (?, ?, ?, ?, ?)",
            pending,
        )
        self._count += len(pending)
        if self._limits:
            self._trim(*self._limits)

    def limit(self, count: int, size: int) -> None:
        """Keep only the newest messages from now on: so many, and bodies and properties so large.

        size  in bytes
        """
        self._limits = count, size
        self.recount()
        self._trim(count, size)

    def recount(self) -> None:
        """Count what is kept. Necessary at the start, and after a rollback."""
        self._pending = []
        if self._limits:
            self._count, self._size = self._db.execute(
                "SELECT count(*), ifnull(sum(length(body) + length(properties)), 0) FROM messages"
            ).fetchone()

    def _trim(self, count: int, size: int) -> None:
        """Delete the oldest messages, some more than necessary, so that it is seldom necessary.

        The newest one stays in any case.
        """
        if self._count <= count and self._size <= size:
            return
        few, small = count - count // TRIM, size - size // TRIM
        last = 0
        for number, length in self._db.execute(
            "SELECT number, length(body) + length(properties) FROM messages ORDER BY number"
        ):
            if self._count == 1 or (self._count <= few and self._size <= small):
                break
            last, self._count, self._size = number, self._count - 1, self._size - length
        self._db.execute("DELETE FROM messages WHERE number <= ?", (last,))

    def all(self) -> Iterator[tuple[str, str, dict, bytes]]:
        """Hub, device ID, properties and body of each message."""
        for hub, device_id, properties, body in self._db.execute(
            "SELECT hub, device_id, properties, body FROM messages ORDER BY number"
        ):
            yield hub, device_id, json.loads(properties), body

    def last(
        self,
        device: tuple[str, str] | None,
        after: int,
        limit: int,
        body_limit: int,
        oldest_first: bool = False,
    ) -> list[tuple[int, float, str, str, int, bytes]]:
        """The last messages, the newest first; or the next messages, the oldest first.

        device      hub and device ID; None: all devices
        after       only messages with a higher number
        body_limit  how many bytes of each body

        Returns number, time, hub, device ID, size and the first bytes of each.
        """
        where = "hub = ? AND device_id = ? AND " if device else ""
        return self._db.execute(
            "SELECT number, at, hub, device_id, length(body), ifnull(substr(body, 1, ?), x'')"  # noqa: S608
            f" FROM messages WHERE {where}number > ?"
            f" ORDER BY number {'ASC' if oldest_first else 'DESC'} LIMIT ?",
            (body_limit, *(device or ()), after, limit),
        ).fetchall()

    def properties(self, numbers: list[int]) -> dict[int, dict[str, str]]:
        """The properties of messages, by their numbers."""
        marks = ", ".join("?" * len(numbers))
        rows = self._db.execute(
            f"SELECT number, properties FROM messages WHERE number IN ({marks})",  # noqa: S608
            numbers,
        )
        return {number: json.loads(text) for number, text in rows}

    def count_of(self, hub: str, device_id: str, after: int) -> tuple[int, int]:
        """How many messages of a device have a higher number, and the highest one (or 0)."""
        return self._db.execute(
            "SELECT count(*), ifnull(max(number), 0) FROM messages"
            " WHERE hub = ? AND device_id = ? AND number > ?",
            (hub, device_id, after),
        ).fetchone()

    def heard(self) -> dict[tuple[str, str], float]:
        """Hub and ID of each device that has sent a message → the time of its last one."""
        rows = self._db.execute(
            "SELECT hub, device_id, max(number), max(at) FROM messages NOT INDEXED"
            " WHERE number > ? GROUP BY hub, device_id",
            (self._heard_to,),
        )
        for hub, device_id, number, at in rows.fetchall():
            self._heard[hub, device_id] = at
            self._heard_to = max(self._heard_to, number)
        return self._heard

    def times(self, hub: str, device_id: str, limit: int) -> list[float]:
        """The times of a device's last messages, the newest first."""
        rows = self._db.execute(
            "SELECT at FROM messages WHERE hub = ? AND device_id = ? ORDER BY number DESC LIMIT ?",
            (hub, device_id, limit),
        )
        return [at for (at,) in rows]

    def count_before(self, at: float) -> int:
        """How many messages were accepted before a time. Their times rise with their numbers."""
        query = "SELECT at FROM messages WHERE number >= ? ORDER BY number LIMIT 1"
        numbers = range(1, self.last_number() + 1)
        return bisect.bisect_left(numbers, at, key=lambda n: fetch_value(self._db, query, n))

    def last_number(self) -> int:
        return fetch_value(self._db, "SELECT max(number) FROM messages") or 0


# An error that needs somebody's attention. An enroller looks whether an enrollment or a CA
# certificate is there before it makes one.
IS_ERROR = (
    "error <> '' AND NOT (service = 'dps' AND method = 'GET' AND status = 404"
    " AND (path LIKE '/enrollment%' OR path LIKE '/subscriptions/%'))"
)


class Requests:
    """The last requests to all services."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self._since_sweep = SWEEP_INTERVAL

    def add(self, requests: list[tuple[str, str, str, int, tuple[str, ...], str]]) -> None:
        """Keep requests: service, method, path, status, names in the chain, error."""
        now = time.time()
        self._db.executemany(
            "INSERT INTO requests (at, service, method, path, status, chain, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(now, *rest, _to_json(chain), error) for *rest, chain, error in requests],
        )
        self._since_sweep += len(requests)
        if self._since_sweep >= SWEEP_INTERVAL:
            self._since_sweep = 0
            self._db.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
                (REQUESTS_KEPT,),
            )

    def all(self) -> list[dict]:
        """The requests in their order: at, service, method, path, status, chain, error."""
        cursor = self._db.execute(
            "SELECT at, service, method, path, status, chain, error FROM requests ORDER BY number"
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [{**row, "chain": json.loads(row["chain"])} for row in rows]

    def last(self, after: int, limit: int, errors_only: bool) -> list[tuple]:
        """Number, time, service, method, path, status and error of requests, the newest first.

        after  only requests with a higher number
        """
        error = f"AND {IS_ERROR} " if errors_only else ""
        return self._db.execute(
            "SELECT number, at, service, method, path, status, error FROM requests"  # noqa: S608
            f" WHERE number > ? {error}ORDER BY number DESC LIMIT ?",
            (after, limit),
        ).fetchall()

    def last_number(self) -> int:
        """The number of requests so far, including those that are not kept any more."""
        return fetch_value(self._db, "SELECT max(number) FROM requests") or 0

    def count_errors(self, after: int) -> int:
        """How many requests with a higher number have an error."""
        query = f"SELECT count(*) FROM requests WHERE number > ? AND {IS_ERROR}"  # noqa: S608
        return fetch_value(self._db, query, after)
