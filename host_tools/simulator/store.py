"""What the simulator knows, in SQLite: a restart forgets nothing."""

import base64
import json
import os
import secrets
import sqlite3
import time
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
    record TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS devices (
    hub TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (hub, id)
);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, hub TEXT NOT NULL, device_id TEXT NOT NULL,
    properties TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of ON messages (hub, device_id);
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, status INTEGER NOT NULL, chain TEXT NOT NULL, error TEXT NOT NULL
);
"""


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
        self._db.executescript(TABLES)

    def close(self) -> None:
        self._db.close()

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
        name = name.lower()
        with self._db:
            self._db.execute("BEGIN")
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
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM enrollments WHERE kind = ? AND id = ?", (kind, name))
            self._db.execute("DELETE FROM enrolled_certs WHERE kind = ? AND id = ?", (kind, name))

    def enrollments(self, kind: str, after: str, limit: int) -> list[tuple[str, dict]]:
        """IDs and records of the enrollments whose ID comes after another, in their order."""
        rows = self._db.execute(
            "SELECT id, record FROM enrollments WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
            (kind, after, limit),
        )
        return [(name, json.loads(record)) for name, record in rows]

    def enrolled(self, thumbprint: str) -> tuple[str, str] | None:
        """Kind and ID of the enrollment that a certificate is in."""
        return self._db.execute(
            "SELECT kind, id FROM enrolled_certs WHERE thumbprint = ?", (thumbprint,)
        ).fetchone()

    def put_registration(
        self, name: str, operation_id: str, record: dict, chain: list[str]
    ) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO registrations VALUES (?, ?, ?, ?, ?)",
            (name.lower(), operation_id, time.time(), json.dumps(record), json.dumps(chain)),
        )

    def registration(self, name: str) -> tuple[str, float, dict, list[str]] | None:
        """Operation ID, when it started, the registration's record, and the chain that came."""
        row = self._db.execute(
            "SELECT operation_id, started, record, chain FROM registrations WHERE id = ?",
            (name.lower(),),
        ).fetchone()
        return row and (row[0], row[1], json.loads(row[2]), json.loads(row[3]))

    def put_device(self, hub: str, name: str, record: dict) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO devices VALUES (?, ?, ?)",
            (hub.lower(), name, json.dumps(record)),
        )

    def device(self, hub: str, name: str) -> dict | None:
        """A hub's device. Device IDs are case-sensitive, unlike registration IDs."""
        return self._record(
            "SELECT record FROM devices WHERE hub = ? AND id = ?", hub.lower(), name
        )

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

    def add_request(
        self, service: str, method: str, path: str, status: int, chain: list[str], error: str
    ) -> None:
        self._db.execute(
            "INSERT INTO requests (at, service, method, path, status, chain, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (time.time(), service, method, path, status, json.dumps(chain), error),
        )

    def requests(self) -> list[dict]:
        """All requests in their order: at, service, method, path, status, chain, error."""
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
