"""Enrollments, registrations and uploaded CA certificates in the store.

IDs are compared without regard to case, as DPS does.
"""

import base64
import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator

from cryptography import x509

from .database import fetch_record, fetch_value, like_pattern

# How many records and owners of certificates are kept in memory as well.
CACHE_SIZE = 10_000


def _keep(cache: dict, key, value) -> None:
    if len(cache) >= CACHE_SIZE:
        cache.clear()
    cache[key] = value


def ca_key(name: str) -> str:
    """The key of an uploaded CA certificate, in place of a thumbprint of an enrollment."""
    return f"ca:{name.lower()}"


class Enrollments:
    """Individual enrollments and enrollment groups.

    generation  a number that changes with each change
    """

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self.generation = 0
        # What was looked up lately: a device's registration asks for the same ones several times.
        self._records: dict[tuple[str, str], str] = {}  # as JSON
        self._owners: dict[str, tuple[str, str]] = {}

    def clear_cache(self) -> None:
        self._records.clear()
        self._owners.clear()

    def put(self, kind: str, name: str, record: dict, thumbprints: list[str]) -> None:
        """Keep an enrollment. kind: "individual" or "group".

        thumbprints  of its certificates; ca_key() for an uploaded CA certificate
        """
        name = name.lower()
        self.generation += 1
        self.clear_cache()
        with self._all_or_nothing():
            self._db.execute(
                "INSERT OR REPLACE INTO enrollments VALUES (?, ?, ?)",
                (kind, name, json.dumps(record)),
            )
            self._db.execute("DELETE FROM enrolled_certs WHERE kind = ? AND id = ?", (kind, name))
            self._db.executemany(
                "INSERT INTO enrolled_certs VALUES (?, ?, ?)",
                [(thumbprint, kind, name) for thumbprint in set(thumbprints)],
            )

    def get(self, kind: str, name: str) -> dict | None:
        key = (kind, name.lower())
        text = self._records.get(key)
        if text is None:
            query = "SELECT record FROM enrollments WHERE kind = ? AND id = ?"
            text = fetch_value(self._db, query, *key)
            if text is None:
                return None
            _keep(self._records, key, text)
        return json.loads(text)

    def delete(self, kind: str, name: str) -> None:
        name = name.lower()
        self.generation += 1
        self.clear_cache()
        with self._all_or_nothing():
            self._db.execute("DELETE FROM enrollments WHERE kind = ? AND id = ?", (kind, name))
            self._db.execute("DELETE FROM enrolled_certs WHERE kind = ? AND id = ?", (kind, name))

    def of_kind(self, kind: str, after: str, limit: int) -> list[tuple[str, dict]]:
        """IDs and records of the enrollments that come after an ID, in the order of their IDs."""
        rows = self._db.execute(
            "SELECT id, record FROM enrollments WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
            (kind, after, limit),
        )
        return [(name, json.loads(record)) for name, record in rows]

    def with_certificate(self, thumbprint: str) -> tuple[str, str] | None:
        """Kind and ID of the enrollment that has a certificate."""
        owner = self._owners.get(thumbprint)
        if owner is None:
            query = "SELECT kind, id FROM enrolled_certs WHERE thumbprint = ?"
            owner = self._db.execute(query, (thumbprint,)).fetchone()
            if owner is not None:
                _keep(self._owners, thumbprint, owner)
        return owner

    def search(self, text: str, after: tuple[str, str], limit: int) -> list[tuple[str, str, dict]]:
        """Kind, ID and record of enrollments after a kind and ID, in their order.

        text  part of the ID; "": all of them
        """
        query, values = "(kind, id) > (?, ?)", [*after]
        if text:
            query += " AND id LIKE ? ESCAPE '!'"
            values.append(like_pattern(text))
        rows = self._db.execute(
            f"SELECT kind, id, record FROM enrollments WHERE {query} ORDER BY kind, id LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        return [(kind, name, json.loads(record)) for kind, name, record in rows]

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Keep all statements inside, or none of them."""
        self._db.execute("SAVEPOINT whole")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO whole")
            raise
        finally:
            self._db.execute("RELEASE whole")


class CaCertificates:
    """Uploaded CA certificates.

    generation  a number that changes with each change
    """

    def __init__(self, db: sqlite3.Connection):
        self._db = db
        self.generation = 0

    def put(self, name: str, thumbprint: str, record: dict) -> None:
        self.generation += 1
        self._db.execute(
            "INSERT OR REPLACE INTO authorities VALUES (?, ?, ?)",
            (name.lower(), thumbprint, json.dumps(record)),
        )

    def get(self, name: str) -> dict | None:
        return fetch_record(
            self._db, "SELECT record FROM authorities WHERE name = ?", name.lower()
        )

    def with_thumbprint(self, thumbprint: str) -> tuple[str, dict] | None:
        """Name and record of a certificate."""
        row = self._db.execute(
            "SELECT name, record FROM authorities WHERE thumbprint = ?", (thumbprint,)
        ).fetchone()
        return row and (row[0], json.loads(row[1]))

    def all(self) -> list[dict]:
        """All records, in the order of their names."""
        rows = self._db.execute("SELECT record FROM authorities ORDER BY name")
        return [json.loads(record) for (record,) in rows]

    def verified_certificates(self) -> list[x509.Certificate]:
        """The certificates that are verified, in the order of their names."""
        properties = [record["properties"] for record in self.all()]
        return [
            x509.load_der_x509_certificate(base64.b64decode(one["certificate"]))
            for one in properties
            if one["isVerified"]
        ]

    def delete(self, name: str) -> None:
        self.generation += 1
        self._db.execute("DELETE FROM authorities WHERE name = ?", (name.lower(),))


class Registrations:
    """Devices' registrations with DPS."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def put(
        self,
        name: str,
        operation_id: str,
        record: dict,
        chain: list[str],
        enrollment: tuple[str, str] = ("", ""),
    ) -> None:
        """Keep a registration.

        chain       thumbprints of the certificates that the device sent
        enrollment  its kind and ID
        """
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

    def get(self, name: str) -> tuple[str, float, dict, list[str]] | None:
        """Operation ID, time of the start, record, and the thumbprints of the chain."""
        row = self._db.execute(
            "SELECT operation_id, started, record, chain FROM registrations WHERE id = ?",
            (name.lower(),),
        ).fetchone()
        return row and (row[0], row[1], json.loads(row[2]), json.loads(row[3]))

    def of_group(self, group: str, after: str, limit: int) -> list[tuple[str, dict]]:
        """IDs and records of a group's registrations that come after an ID, in their order."""
        rows = self._db.execute(
            "SELECT id, record FROM registrations"
            " WHERE kind = 'group' AND enrollment = ? AND id > ? ORDER BY id LIMIT ?",
            (group.lower(), after, limit),
        )
        return [(name, json.loads(record)) for name, record in rows]

    def delete(self, name: str) -> None:
        self._db.execute("DELETE FROM registrations WHERE id = ?", (name.lower(),))
