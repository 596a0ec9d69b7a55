"""The simulator's state, in SQLite: it survives a restart."""

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from .database import fetch_value, open_database
from .devices import CloudToDevice, Devices
from .enrollments import CaCertificates, Enrollments, Registrations
from .messages import SWEEP_INTERVAL, Messages, Requests
from .twins import Sessions, Twins


class Store:
    """The simulator's state, with an attribute for each kind of thing in it.

    folder  has simulator.db; made if it is missing, for its owner only
    """

    def __init__(self, folder: Path):
        self._db = open_database(folder)
        self._settings: dict[str, str] = {}
        self.enrollments = Enrollments(self._db)
        self.ca_certificates = CaCertificates(self._db)
        self.registrations = Registrations(self._db)
        self.devices = Devices(self._db)
        self.cloud_to_device = CloudToDevice(self._db)
        self.twins = Twins(self._db)
        self.sessions = Sessions(self._db)
        self.messages = Messages(self._db)
        self.requests = Requests(self._db)

    def close(self) -> None:
        self._db.close()

    def begin(self) -> None:
        """Begin a transaction: all changes until commit() are kept together."""
        self._db.execute("BEGIN")

    def commit(self) -> None:
        self.messages.flush()
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        self._db.execute("ROLLBACK")
        self.devices.clear_cache()
        self.enrollments.clear_cache()
        self._settings.clear()
        self.messages.recount()

    @property
    def generation(self) -> tuple[int, int]:
        """Changes whenever an enrollment or a CA certificate changes.

        While it stays the same, so does the result of an attestation.
        """
        return self.enrollments.generation, self.ca_certificates.generation

    def setting(self, name: str, default: Callable[[], str]) -> str:
        """A setting. If there is none yet, it gets a default."""
        if name not in self._settings:
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default()))
            query = "SELECT value FROM settings WHERE name = ?"
            self._settings[name] = fetch_value(self._db, query, name)
        return self._settings[name]

    def set(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
        self._settings[name] = value

    @property
    def id_scope(self) -> str:
        return self.setting("id_scope", lambda: f"0ne{secrets.randbelow(10**8):08}")

    @property
    def service_key(self) -> str:
        return self.setting(
            "service_key", lambda: base64.b64encode(secrets.token_bytes(32)).decode()
        )

    def totals(self) -> dict:
        """How much there is of everything; and a mark that changes with each change."""
        rows = self._db.execute("SELECT kind, count(*) FROM enrollments GROUP BY kind")
        requests = self.requests.last_number()
        since = max(0, requests - SWEEP_INTERVAL)
        # Changes that other connections have made.
        version = fetch_value(self._db, "PRAGMA data_version")
        return {
            "mark": f"{self._db.total_changes}-{version}",
            "devices": fetch_value(self._db, "SELECT count(*) FROM devices"),
            "enrollments": {"group": 0, "individual": 0} | dict(rows.fetchall()),
            "messages": self.messages.last_number(),
            "requests": requests,
            "errors": {"count": self.requests.count_errors(since), "of": requests - since},
        }
