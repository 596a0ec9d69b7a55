"""The SQLite database of the simulator's state: its tables, and helpers for queries."""

import json
import os
import sqlite3
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS enrollments (
    kind TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS enrolled_certs (
    thumbprint TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE IF NOT EXISTS twins (
    hub TEXT NOT NULL, device_id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (hub, device_id)
);
CREATE TABLE IF NOT EXISTS sessions (
    hub TEXT NOT NULL, device_id TEXT NOT NULL, filters TEXT NOT NULL,
    PRIMARY KEY (hub, device_id)
);
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, service TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, status INTEGER NOT NULL, chain TEXT NOT NULL, error TEXT NOT NULL
);
"""

# Columns that the database of an older version lacks → the statement that adds them.
ADDED_COLUMNS = {
    ("registrations", column): f"ALTER TABLE registrations ADD COLUMN {column} TEXT DEFAULT ''"
    for column in ("kind", "enrollment")
}


def open_database(folder: Path) -> sqlite3.Connection:
    """Open simulator.db in a folder. Both are made if they are missing, for their owner only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "simulator.db"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it contains the service's key
    # Without a transaction of ours, each statement is its own.
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    # A commit survives any end of this process, but not a power failure.
    db.execute("PRAGMA synchronous=NORMAL")
    # Fewer, larger checkpoints: each one waits for the disk.
    db.execute("PRAGMA wal_autocheckpoint=8000")  # pages of 4 KB
    # A look-up among many enrollments needs no call of the operating system.
    db.execute("PRAGMA cache_size=-65536")  # KB
    db.executescript(TABLES)
    for (table, column), statement in ADDED_COLUMNS.items():
        columns = db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        if (column,) not in columns.fetchall():
            db.execute(statement)
    return db


def fetch_value(db: sqlite3.Connection, query: str, *values):
    """The first column of the first row; None if there is no row."""
    row = db.execute(query, values).fetchone()
    return row and row[0]


def fetch_record(db: sqlite3.Connection, query: str, *values) -> dict | None:
    """The first column of the first row, which is JSON; None if there is no row."""
    text = fetch_value(db, query, *values)
    return text and json.loads(text)


def like_pattern(text: str) -> str:
    """A pattern with which LIKE … ESCAPE '!' finds a text, whatever characters it has."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"
