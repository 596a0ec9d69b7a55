"""The last errors, kept on flash for who comes to look: microdps.status prints them.

Flash wears: an error that is there already is counted, and written a minute later at the earliest.
"""

import gc
import json
import os
import time

from micropython import const

from microdps import board
from microdps.errors import LinkError

_MOST = const(8)
_WRITE_S = const(60)
_TEXT = const(80)


class Journal:
    """The last 8 errors of a device.

    path  of the file; one that cannot be read counts as none
    """

    def __init__(self, path: str):
        self._path = path
        self.entries = load(path)
        self._written_s = 0

    def note(self, error):
        """Take an error: its code, where, Azure's tracking ID, when it came last, how often."""
        code, where = error.args if len(error.args) == 2 else (type(error).__name__, str(error))
        entry = {
            "utc": board.utc(),
            "code": code,
            "where": str(where)[:_TEXT],
            "tracking_id": getattr(error, "tracking_id", ""),
            "count": 1,
        }
        if isinstance(error, LinkError):
            gc.collect()
            entry["free"] = gc.mem_free() if hasattr(gc, "mem_free") else -1
            entry["idf_free"] = board.idf_free()
        known = False
        for old in self.entries:
            if old["code"] == code and old["where"] == entry["where"]:
                entry["count"] = old["count"] + 1
                self.entries.remove(old)
                known = True
                break
        self.entries.append(entry)
        del self.entries[:-_MOST]
        now = time.time()
        if not known or not 0 <= now - self._written_s < _WRITE_S:
            self._write(now)

    def _write(self, now):
        try:
            with open(self._path + ".new", "w") as file:
                json.dump(self.entries, file)
            os.rename(self._path + ".new", self._path)
            self._written_s = now
        except OSError as error:
            print("error: cannot write %s: %s" % (self._path, error))


def load(path: str) -> list:
    """The errors in a file, the last at the end; none if it cannot be read, or is damaged."""
    try:
        with open(path) as file:
            entries = json.load(file)
        return [e for e in entries if set(e) >= {"utc", "code", "where", "count"}][-_MOST:]
    except (OSError, ValueError, TypeError):
        return []
