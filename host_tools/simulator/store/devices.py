"""The hubs' devices in the store, and the cloud-to-device messages that wait for them.

Device IDs are case-sensitive, unlike registration IDs. Hubs are compared without regard to case.
"""

import json
import sqlite3
import time
import uuid

from .database import fetch_record, fetch_value, like_pattern

# A message that is locked for longer than that is locked until a connection ends.
YEAR_S = 366 * 86400

# How many devices' records are kept in memory as well.
CACHE_SIZE = 10_000


class Devices:
    """The devices of all hubs."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self._cache: dict[tuple[str, str], dict] = {}

    def put(self, hub: str, name: str, record: dict) -> None:
        self._cache.pop((hub.lower(), name), None)
        self._db.execute(
            "INSERT OR REPLACE INTO devices VALUES (?, ?, ?)",
            (hub.lower(), name, json.dumps(record)),
        )

    def get(self, hub: str, name: str) -> dict | None:
        key = (hub.lower(), name)
        if key not in self._cache:
            record = fetch_record(
                self._db, "SELECT record FROM devices WHERE hub = ? AND id = ?", *key
            )
            if record is None:
                return None
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = record
        return self._cache[key]

    def delete(self, hub: str, name: str) -> None:
        """Delete a device, with its twin, its session, and the messages that wait for it."""
        self._cache.pop((hub.lower(), name), None)
        for table, column in (
            ("devices", "id"),
            ("devicebound", "device_id"),
            ("twins", "device_id"),
            ("sessions", "device_id"),
        ):
            self._db.execute(
                f"DELETE FROM {table} WHERE hub = ? AND {column} = ?",  # noqa: S608
                (hub.lower(), name),
            )

    def clear_cache(self) -> None:
        self._cache.clear()

    def search(self, text: str, after: tuple[str, str], limit: int) -> list[tuple[str, str, dict]]:
        """Hub, ID and record of devices after an ID and hub, in their order.

        text  part of the device ID or the registration ID; "": all of them
        """
        where, values = _with_text(text)
        rows = self._db.execute(
            f"SELECT hub, id, record FROM devices WHERE (id, hub) > (?, ?) AND {where}"  # noqa: S608
            " ORDER BY id, hub LIMIT ?",
            (*after, *values, limit),
        )
        return [(hub, name, json.loads(record)) for hub, name, record in rows]

    def names(self, text: str) -> list[tuple[str, str]]:
        """Hub and ID of all devices, or of those whose ID or registration ID has this text."""
        where, values = _with_text(text)
        return self._db.execute(f"SELECT hub, id FROM devices WHERE {where}", values).fetchall()  # noqa: S608


def _with_text(text: str) -> tuple[str, list[str]]:
    """The condition of a search, and its values. "": all devices."""
    if not text:
        return "true", []
    where = "(id LIKE ? ESCAPE '!' OR json_extract(record, '$.registrationId') LIKE ? ESCAPE '!')"
    return where, [like_pattern(text)] * 2


class CloudToDevice:
    """Cloud-to-device messages that wait for a device."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def put(self, hub: str, device_id: str, record: dict, body: bytes, expiry: float) -> None:
        """Keep a message until its expiry, in seconds since 1970."""
        self._db.execute(
            "INSERT INTO devicebound (hub, device_id, record, body, expiry)"
            " VALUES (?, ?, ?, ?, ?)",
            (hub.lower(), device_id, json.dumps(record), body, expiry),
        )

    def count(self, hub: str, device_id: str, now: float) -> int:
        """Delete the expired messages of a device, and count the others."""
        device = (hub.lower(), device_id)
        self._db.execute(
            "DELETE FROM devicebound WHERE hub = ? AND device_id = ? AND expiry <= ?",
            (*device, now),
        )
        query = "SELECT count(*) FROM devicebound WHERE hub = ? AND device_id = ?"
        return fetch_value(self._db, query, *device)

    def lock_next(
        self, hub: str, device_id: str, now: float, until: float, prefix: str = ""
    ) -> tuple[str, int, int, dict, bytes] | None:
        """Lock the oldest message that is not locked. prefix: of the lock token.

        Returns lock token, sequence number, number of deliveries, record and body.
        """
        row = self._db.execute(
            "SELECT number, deliveries + 1, record, body FROM devicebound"
            " WHERE hub = ? AND device_id = ? AND locked_until <= ? AND expiry > ?"
            " ORDER BY number LIMIT 1",
            (hub.lower(), device_id, now, now),
        ).fetchone()
        if row is None:
            return None
        number, deliveries, record, body = row
        lock = f"{prefix}{uuid.uuid4()}"
        self._db.execute(
            "UPDATE devicebound SET lock = ?, locked_until = ?, deliveries = ? WHERE number = ?",
            (lock, until, deliveries, number),
        )
        return lock, number, deliveries, json.loads(record), body

    def unlock(self, hub: str, device_id: str, prefix: str, max_deliveries: int) -> int:
        """Unlock the messages whose lock begins like this → how many were deleted instead.

        max_deliveries  a message that was delivered as often is deleted
        """
        where = "hub = ? AND device_id = ? AND lock LIKE ? || '%'"
        values = (hub.lower(), device_id, prefix)
        dead = self._db.execute(
            f"DELETE FROM devicebound WHERE {where} AND deliveries >= ?",  # noqa: S608
            (*values, max_deliveries),
        ).rowcount
        self._db.execute(
            f"UPDATE devicebound SET locked_until = 0, lock = '' WHERE {where}",  # noqa: S608
            values,
        )
        return dead

    def unlock_all(self) -> None:
        """Unlock all messages that connections had locked when this process was killed."""
        self._db.execute(
            "UPDATE devicebound SET locked_until = 0, lock = '' WHERE locked_until > ?",
            (time.time() + YEAR_S,),
        )

    def settle(
        self, hub: str, device_id: str, lock: str, now: float, max_deliveries: int | None
    ) -> bool:
        """Unlock a message, or delete it → False if it was not locked.

        max_deliveries  a message that was delivered as often is deleted; None: delete it always
        """
        where = "hub = ? AND device_id = ? AND lock = ? AND locked_until > ?"
        values = (hub.lower(), device_id, lock, now)
        unlocked = 0
        if max_deliveries is not None:
            unlocked = self._db.execute(
                f"UPDATE devicebound SET locked_until = 0 WHERE {where} AND deliveries < ?",  # noqa: S608
                (*values, max_deliveries),
            ).rowcount
        deleted = self._db.execute(f"DELETE FROM devicebound WHERE {where}", values).rowcount  # noqa: S608
        return bool(unlocked or deleted)
