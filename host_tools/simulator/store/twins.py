"""Device twins, and the sessions of MQTT clients, in the store."""

import json
import sqlite3

from .database import fetch_record


class Twins:
    """The twin of each device: tags, desired and reported properties with their versions."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def get(self, hub: str, device_id: str) -> dict | None:
        """The twin: {"tags", "desired", "reported", "versions": {"desired", "reported"}}."""
        query = "SELECT record FROM twins WHERE hub = ? AND device_id = ?"
        return fetch_record(self._db, query, hub.lower(), device_id)

    def put(self, hub: str, device_id: str, twin: dict) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO twins VALUES (?, ?, ?)",
            (hub.lower(), device_id, json.dumps(twin)),
        )

    def move(self, old: tuple[str, str], new: tuple[str, str]) -> None:
        """Move the twin of a device to another hub or device ID. old, new: hub, device ID."""
        self._db.execute(
            "UPDATE OR REPLACE twins SET hub = ?, device_id = ? WHERE hub = ? AND device_id = ?",
            (new[0].lower(), new[1], old[0].lower(), old[1]),
        )


class Sessions:
    """The subscriptions of devices that connected without CleanSession."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def get(self, hub: str, device_id: str) -> dict[str, int] | None:
        """The filters of a session, and the QoS of each; None if there is no session."""
        query = "SELECT filters FROM sessions WHERE hub = ? AND device_id = ?"
        return fetch_record(self._db, query, hub.lower(), device_id)

    def put(self, hub: str, device_id: str, filters: dict[str, int]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
            (hub.lower(), device_id, json.dumps(filters)),
        )

    def delete(self, hub: str, device_id: str) -> None:
        self._db.execute(
            "DELETE FROM sessions WHERE hub = ? AND device_id = ?", (hub.lower(), device_id)
        )
