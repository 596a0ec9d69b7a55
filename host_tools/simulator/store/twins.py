"""Device twins, and the sessions of MQTT clients, in the store."""

import json
import sqlite3


class Twins:
    """The twin of each device: tags, desired and reported properties with their versions."""

    def __init__(self, db: sqlite3.Connection):
        self._db = db

    def get(self, hub: str, device_id: str) -> dict:
        """The twin: {"tags", "desired", "reported", "versions": {"desired", "reported"}}."""
        row = self._db.execute(
            "SELECT record FROM twins WHERE hub = ? AND device_id = ?", (hub.lower(), device_id)
        ).fetchone()
        if row:
            return json.loads(row[0])
        versions = {"desired": 1, "reported": 1}
        return {"tags": {}, "desired": {}, "reported": {}, "versions": versions}

    def put(self, hub: str, device_id: str, twin: dict) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO twins VALUES (?, ?, ?)",
            (hub.lower(), device_id, json.dumps(twin)),
        )

    def exists(self, hub: str, device_id: str) -> bool:
        query = "SELECT 1 FROM twins WHERE hub = ? AND device_id = ?"
        return bool(self._db.execute(query, (hub.lower(), device_id)).fetchone())

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
        row = self._db.execute(
            "SELECT filters FROM sessions WHERE hub = ? AND device_id = ?",
            (hub.lower(), device_id),
        ).fetchone()
        return row and json.loads(row[0])

    def put(self, hub: str, device_id: str, filters: dict[str, int]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)",
            (hub.lower(), device_id, json.dumps(filters)),
        )

    def delete(self, hub: str, device_id: str) -> None:
        self._db.execute(
            "DELETE FROM sessions WHERE hub = ? AND device_id = ?", (hub.lower(), device_id)
        )
