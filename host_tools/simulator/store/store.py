"""What the simulator knows, in SQLite: a restart forgets nothing."""

import base64
import bisect
import contextlib
import functools
import json
import os
import secrets
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS enrollments (
    kind TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS enrolled_certs (
    thumbprint TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS enrolled_certs_of ON enrolled_certs (kind, id);
CREATE TABLE IF NOT EXISTS registrations (
    id TEXT PRIMARY KEY, operation_id TEXT NOT NULL, started REAL NOT NULL,
    record TEXT NOT NULL, chain TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT '', enrollment TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS authorities (
    name TEXT PRIMARY KEY, thumbprint TEXT NOT NULL UNIQUE, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS devices (
    hub TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (hub, id)
);
CREATE INDEX IF NOT EXISTS devices_by_id ON devices (id, hub);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, hub TEXT NOT NULL, device_id TEXT NOT NULL,
    properties TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of ON messages (hub, device_id);
CREATE TABLE IF NOT EXISTS devicebound (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hub TEXT NOT NULL, device_id TEXT NOT NULL,
    record TEXT NOT NULL, body BLOB NOT NULL, expiry REAL NOT NULL,
    lock TEXT NOT NULL DEFAULT '', locked_until REAL NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS devicebound_of ON devicebound (hub, device_id);
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, status INTEGER NOT NULL, chain TEXT NOT NULL, error TEXT NOT NULL
);
"""

# What a state of before lacks → the statement that adds it.
ADDED = {
    ("registrations", column): f"ALTER TABLE registrations ADD COLUMN {column} TEXT DEFAULT ''"
    for column in ("kind", "enrollment")
}

# How many of the last requests are kept, and how often the older ones are deleted.
REQUESTS = 20_000
SWEEP = 1_000

# How many devices' records are kept in memory as well.
CACHED = 10_000

# The names of a chain, which most requests repeat, as JSON.
_listed = functools.lru_cache(CACHED)(json.dumps)


class Store:
    """The simulator's state. IDs are compared without regard to case, as DPS does.

    folder  where simulator.db lies; made if it is not there, for its owner's eyes only
    """

    def __init__(self, folder: Path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "simulator.db"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds the service's key
        # Each statement is its own transaction.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # What is committed outlives this process, however that ends, but not a power cut.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(TABLES)
        for (table, column), statement in ADDED.items():
            columns = self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))
            if (column,) not in columns.fetchall():
                self._db.execute(statement)
        # Counts the changes of enrollments and CA certificates: while it stays, so does what was
        # judged by them.
        self.generation = 0
        self._since_sweep = SWEEP
        self._devices: dict[tuple[str, str], dict] = {}

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        """Keep what follows with one commit()."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        self._db.execute("ROLLBACK")
        self._devices.clear()

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """All statements within it, or none of them."""
        self._db.execute("SAVEPOINT whole")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO whole")
            raise
        finally:
            self._db.execute("RELEASE whole")

    def setting(self, name: str, default: str) -> str:
        """A setting; the default is kept where there is none yet."""
        self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default))
        return self._one("SELECT value FROM settings WHERE name = ?", name)

    def set(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    @property
    def id_scope(self) -> str:
        return self.setting("id_scope", f"0ne{secrets.randbelow(10**8):08}")

    @property
    def service_key(self) -> str:
        return self.setting("service_key", base64.b64encode(secrets.token_bytes(32)).decode())

    def put_enrollment(self, kind: str, name: str, record: dict, thumbprints: list[str]) -> None:
        """Keep an enrollment, and the certificates that it stands for: their thumbprints, or for
        an uploaded CA what ca_mark() returns."""
        name = name.lower()
        self.generation += 1
        with self._whole():
            self._db.execute(
                "INSERT OR REPLACE INTO enrollments VALUES (?, ?, ?)",
                (kind, name, json.dumps(record)),
            )
            self._db.execute("DELETE FROM enrolled_certs WHERE kind = ? AND id = ?", (kind, name))
            self._db.executemany(
                "INSERT INTO enrolled_certs VALUES (?, ?, ?)",
                [(thumbprint, kind, name) for thumbprint in set(thumbprints)],
            )

    def enrollment(self, kind: str, name: str) -> dict | None:
        return self._record(
            "SELECT record FROM enrollments WHERE kind = ? AND id = ?", kind, name.lower()
        )

    def delete_enrollment(self, kind: str, name: str) -> None:
        name = name.lower()
        self.generation += 1
        with self._whole():
            self._db.execute("DELETE FROM enrollments WHERE kind = ? AND id = ?", (kind, name))
            self._db.execute("DELETE FROM enrolled_certs WHERE kind = ? AND id = ?", (kind, name))

    def enrollments(self, kind: str, after: str, limit: int) -> list[tuple[str, dict]]:
        """IDs and records of the enrollments whose ID comes after another, in their order."""
        rows = self._db.execute(
            "SELECT id, record FROM enrollments WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
            (kind, after, limit),
        )
        return [(name, json.loads(record)) for name, record in rows]

    @staticmethod
    def ca_mark(name: str) -> str:
        """What stands for an uploaded CA certificate among the thumbprints of an enrollment."""
        return f"ca:{name.lower()}"

    def enrolled(self, thumbprint: str) -> tuple[str, str] | None:
        """Kind and ID of the enrollment that a certificate is in."""
        return self._db.execute(
            "SELECT kind, id FROM enrolled_certs WHERE thumbprint = ?", (thumbprint,)
        ).fetchone()

    def put_authority(self, name: str, thumbprint: str, record: dict) -> None:
        """Keep an uploaded CA certificate."""
        self.generation += 1
        self._db.execute(
            "INSERT OR REPLACE INTO authorities VALUES (?, ?, ?)",
            (name.lower(), thumbprint, json.dumps(record)),
        )

    def authority(self, name: str) -> dict | None:
        return self._record("SELECT record FROM authorities WHERE name = ?", name.lower())

    def authority_of(self, thumbprint: str) -> tuple[str, dict] | None:
        """Name and record of the uploaded CA certificate with a thumbprint."""
        row = self._db.execute(
            "SELECT name, record FROM authorities WHERE thumbprint = ?", (thumbprint,)
        ).fetchone()
        return row and (row[0], json.loads(row[1]))

    def authorities(self) -> list[dict]:
        rows = self._db.execute("SELECT record FROM authorities ORDER BY name")
        return [json.loads(record) for (record,) in rows]

    def delete_authority(self, name: str) -> None:
        self.generation += 1
        self._db.execute("DELETE FROM authorities WHERE name = ?", (name.lower(),))

    def put_registration(
        self,
        name: str,
        operation_id: str,
        record: dict,
        chain: list[str],
        enrollment: tuple[str, str] = ("", ""),
    ) -> None:
        """Keep a registration. enrollment: its kind and ID."""
        self._db.execute(
            "INSERT OR REPLACE INTO registrations"
            " (id, operation_id, started, record, chain, kind, enrollment)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                name.lower(),
                operation_id,
                time.time(),
                json.dumps(record),
                json.dumps(chain),
                *enrollment,
            ),
        )

    def registration(self, name: str) -> tuple[str, float, dict, list[str]] | None:
        """Operation ID, when it started, the registration's record, and the chain that came."""
        row = self._db.execute(
            "SELECT operation_id, started, record, chain FROM registrations WHERE id = ?",
            (name.lower(),),
        ).fetchone()
        return row and (row[0], row[1], json.loads(row[2]), json.loads(row[3]))

    def registrations(self, group: str, after: str, limit: int) -> list[tuple[str, dict]]:
        """IDs and records of a group's registrations whose ID comes after another, in order."""
        rows = self._db.execute(
            "SELECT id, record FROM registrations"
            " WHERE kind = 'group' AND enrollment = ? AND id > ? ORDER BY id LIMIT ?",
            (group.lower(), after, limit),
        )
        return [(name, json.loads(record)) for name, record in rows]

    def delete_registration(self, name: str) -> None:
        self._db.execute("DELETE FROM registrations WHERE id = ?", (name.lower(),))

    def put_device(self, hub: str, name: str, record: dict) -> None:
        self._devices.pop((hub.lower(), name), None)
        self._db.execute(
            "INSERT OR REPLACE INTO devices VALUES (?, ?, ?)",
            (hub.lower(), name, json.dumps(record)),
        )

    def device(self, hub: str, name: str) -> dict | None:
        """A hub's device. Device IDs are case-sensitive, unlike registration IDs."""
        key = (hub.lower(), name)
        if key not in self._devices:
            record = self._record("SELECT record FROM devices WHERE hub = ? AND id = ?", *key)
            if record is None:
                return None
            if len(self._devices) >= CACHED:
                self._devices.clear()
            self._devices[key] = record
        return self._devices[key]

    def delete_device(self, hub: str, name: str) -> None:
        """Delete a hub's device, and what waits for it."""
        self._devices.pop((hub.lower(), name), None)
        for table, column in (("devices", "id"), ("devicebound", "device_id")):
            self._db.execute(
                f"DELETE FROM {table} WHERE hub = ? AND {column} = ?",  # noqa: S608
                (hub.lower(), name),
            )

    def enqueue(self, hub: str, device_id: str, record: dict, body: bytes, expiry: float) -> None:
        """Let a message wait for a device, until its expiry."""
        self._db.execute(
            "INSERT INTO devicebound (hub, device_id, record, body, expiry)"
            " VALUES (?, ?, ?, ?, ?)",
            (hub.lower(), device_id, json.dumps(record), body, expiry),
        )

    def waiting(self, hub: str, device_id: str, now: float) -> int:
        """How many messages wait for a device, after those that have expired are deleted."""
        mine = (hub.lower(), device_id)
        self._db.execute(
            "DELETE FROM devicebound WHERE hub = ? AND device_id = ? AND expiry <= ?", (*mine, now)
        )
        return self._one("SELECT count(*) FROM devicebound WHERE hub = ? AND device_id = ?", *mine)

    def lock_next(
        self, hub: str, device_id: str, now: float, until: float
    ) -> tuple[str, int, int, dict, bytes] | None:
        """Lock the oldest message that is free → lock, sequence number, number of deliveries,
        record, body."""
        row = self._db.execute(
            "SELECT number, deliveries + 1, record, body FROM devicebound"
            " WHERE hub = ? AND device_id = ? AND locked_until <= ? ORDER BY number LIMIT 1",
            (hub.lower(), device_id, now),
        ).fetchone()
        if row is None:
            return None
        number, deliveries, record, body = row
        lock = str(uuid.uuid4())
        self._db.execute(
            "UPDATE devicebound SET lock = ?, locked_until = ?, deliveries = ? WHERE number = ?",
            (lock, until, deliveries, number),
        )
        return lock, number, deliveries, json.loads(record), body

    def settle(self, hub: str, device_id: str, lock: str, now: float, most: int | None) -> bool:
        """Delete a locked message, or free it if it may be delivered again → was it locked?

        most  how often it is delivered; None: it is deleted
        """
        where = "hub = ? AND device_id = ? AND lock = ? AND locked_until > ?"
        values = (hub.lower(), device_id, lock, now)
        freed = 0
        if most is not None:
            freed = self._db.execute(
                f"UPDATE devicebound SET locked_until = 0 WHERE {where} AND deliveries < ?",  # noqa: S608
                (*values, most),
            ).rowcount
        deleted = self._db.execute(f"DELETE FROM devicebound WHERE {where}", values).rowcount  # noqa: S608
        return bool(freed or deleted)

    def add_message(self, hub: str, device_id: str, properties: dict, body: bytes) -> None:
        self._db.execute(
            "INSERT INTO messages (at, hub, device_id, properties, body) VALUES (?, ?, ?, ?, ?)",
            (time.time(), hub.lower(), device_id, json.dumps(properties), body),
        )

    def messages(self) -> Iterator[tuple[str, str, dict, bytes]]:
        """Hub, device ID, properties and body of each message, in the order of acceptance."""
        for hub, device_id, properties, body in self._db.execute(
            "SELECT hub, device_id, properties, body FROM messages ORDER BY number"
        ):
            yield hub, device_id, json.loads(properties), body

    def add_requests(
        self, requests: list[tuple[str, str, str, int, tuple[str, ...], str]]
    ) -> None:
        """Keep requests: service, method, path, status, names of the chain, error."""
        now = time.time()
        self._db.executemany(
            "INSERT INTO requests (at, service, method, path, status, chain, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(now, *rest, _listed(chain), error) for *rest, chain, error in requests],
        )
        self._since_sweep += len(requests)
        if self._since_sweep >= SWEEP:
            self._since_sweep = 0
            self._db.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
                (REQUESTS,),
            )

    def requests(self) -> list[dict]:
        """The last requests in their order: at, service, method, path, status, chain, error."""
        cursor = self._db.execute(
            "SELECT at, service, method, path, status, chain, error FROM requests ORDER BY number"
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return [{**row, "chain": json.loads(row["chain"])} for row in rows]

    def _one(self, query: str, *values):
        row = self._db.execute(query, values).fetchone()
        return row and row[0]

    def _record(self, query: str, *values) -> dict | None:
        text = self._one(query, *values)
        return text and json.loads(text)

    # What the page shows. Every query takes its rows from an index; a search reads on in it until
    # it has found enough.

    def totals(self) -> dict:
        """How much there is of everything, and a mark that differs once anything has changed.

        Messages are numbered without gaps, and requests counted beyond those that are kept.
        """
        rows = self._db.execute("SELECT kind, count(*) FROM enrollments GROUP BY kind")
        last = self._one("SELECT max(number) FROM requests") or 0
        since = max(0, last - SWEEP)
        wrong = "SELECT count(*) FROM requests WHERE number > ? AND error <> ''"
        others = self._one("PRAGMA data_version")  # what other connections have written
        return {
            "mark": f"{self._db.total_changes}-{others}",
            "devices": self._one("SELECT count(*) FROM devices"),
            "enrollments": {"group": 0, "individual": 0} | dict(rows.fetchall()),
            "messages": self._one("SELECT max(number) FROM messages") or 0,
            "requests": last,
            "errors": {"count": self._one(wrong, since), "of": last - since},
        }

    def find_devices(
        self, search: str, after: tuple[str, str], limit: int
    ) -> list[tuple[str, str, dict]]:
        """Hub, ID and record of the devices that come after an ID and hub, in that order.

        search  what a device's ID or registration ID has in it
        """
        query, values = "(id, hub) > (?, ?)", [*after]
        if search:
            query += " AND (id LIKE ? ESCAPE '!' OR json_extract(record, '$.registrationId')"
            query += " LIKE ? ESCAPE '!')"
            values += [_pattern(search)] * 2
        rows = self._db.execute(
            f"SELECT hub, id, record FROM devices WHERE {query} ORDER BY id, hub LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        return [(hub, name, json.loads(record)) for hub, name, record in rows]

    def find_enrollments(
        self, search: str, after: tuple[str, str], limit: int
    ) -> list[tuple[str, str, dict]]:
        """Kind, ID and record of the enrollments after a kind and ID whose ID has a text in it."""
        query, values = "(kind, id) > (?, ?)", [*after]
        if search:
            query += " AND id LIKE ? ESCAPE '!'"
            values.append(_pattern(search))
        rows = self._db.execute(
            f"SELECT kind, id, record FROM enrollments WHERE {query} ORDER BY kind, id LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        return [(kind, name, json.loads(record)) for kind, name, record in rows]

    def last_messages(
        self, device: tuple[str, str] | None, after: int, limit: int, most: int
    ) -> list[tuple[int, float, str, str, int, bytes]]:
        """Number, time, hub, device ID, size and first bytes of the last messages, newest first.

        device  hub and ID; None: of all devices
        after   the number that theirs is above
        most    how many bytes of a body
        """
        mine = "hub = ? AND device_id = ? AND " if device else ""
        return self._db.execute(
            "SELECT number, at, hub, device_id, length(body), ifnull(substr(body, 1, ?), x'')"  # noqa: S608
            f" FROM messages WHERE {mine}number > ? ORDER BY number DESC LIMIT ?",
            (most, *(device or ()), after, limit),
        ).fetchall()

    def messages_of(self, hub: str, device_id: str, after: int) -> tuple[int, int]:
        """How many messages of a device have a number above another, and the last one's (or 0)."""
        return self._db.execute(
            "SELECT count(*), ifnull(max(number), 0) FROM messages"
            " WHERE hub = ? AND device_id = ? AND number > ?",
            (hub, device_id, after),
        ).fetchone()

    def messages_before(self, at: float) -> int:
        """How many messages were accepted before a time: their times rise with their numbers."""
        query = "SELECT at FROM messages WHERE number >= ? ORDER BY number LIMIT 1"
        last = self._one("SELECT max(number) FROM messages") or 0
        return bisect.bisect_left(range(1, last + 1), at, key=lambda n: self._one(query, n))

    def last_requests(self, after: int, limit: int, wrong: bool) -> list[tuple]:
        """Number, time, service, method, path, status, error of the last requests, newest first.

        after  the number that theirs is above
        wrong  only those with an error
        """
        error = "AND error <> '' " if wrong else ""
        return self._db.execute(
            "SELECT number, at, service, method, path, status, error FROM requests"  # noqa: S608
            f" WHERE number > ? {error}ORDER BY number DESC LIMIT ?",
            (after, limit),
        ).fetchall()


def _pattern(text: str) -> str:
    """What LIKE finds a text by, whatever it has in it."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"
