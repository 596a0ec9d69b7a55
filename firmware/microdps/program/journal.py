"""The last errors, kept on flash so that `microdps status` can show them. Loaded after an error.

An entry is a dict: "utc" of the last time, "code", "where", "tracking_id" of Azure's, "count"; and
after an error of the link the bytes free in MicroPython's heap, "free", and in IDF's, "idf_free".
The code of an exception that is no Error is its class; "where" is its text, and the file and line
where it was raised; and "exception" is true.
"""

import gc
import io
import json
import os
import sys
import time

from micropython import const

from microdps import memory
from microdps.errors import Error, LinkError

_MOST = const(8)
_TEXT = const(80)


def entry(error) -> dict:
    """The entry for an exception."""
    if isinstance(error, Error):
        code, where = error.args
    else:
        code, where = type(error).__name__, _text(error)
    made = {
        "utc": utc(),
        "code": code,
        "where": _cut(where, _TEXT),
        "tracking_id": getattr(error, "tracking_id", ""),
        "count": 1,
    }
    if not isinstance(error, Error):
        made["where"] += " (%s)" % line(error)
        made["exception"] = True
    if isinstance(error, LinkError):
        gc.collect()
        idf = memory.idf_heap()
        made["free"] = gc.mem_free() if hasattr(gc, "mem_free") else -1
        made["idf_free"] = idf[0] if idf else -1
    return made


def tell(error, made: dict):
    """Print an exception, as its entry has it; one that is no Error with its traceback."""
    if isinstance(error, Error):
        print("error:", error)
    else:
        print("error: %s: %s" % (made["code"], made["where"]))
        print(traceback(error))


def traceback(error) -> str:
    """The traceback of an exception, as MicroPython prints it. An app's exception may have a text
    that raises another one."""
    file = io.StringIO()
    try:
        sys.print_exception(error, file)
    except Exception:
        file.write("%s without a text" % type(error).__name__)
    return file.getvalue().rstrip()


def line(error) -> str:
    """The file and line where an exception was raised: of the last call in its traceback."""
    for text in reversed(traceback(error).split("\n")):
        if text[:8] == '  File "':
            name, _, number = text[8:].partition('", line ')
            return "%s:%s" % (name.rsplit("/", 1)[-1], number.split(",")[0])
    return "no line known"


def _text(error) -> str:
    try:
        return str(error)
    except Exception:
        return "no text"


def _cut(text: str, most: int) -> str:
    data = text[:most].encode("utf-8", "replace")  # by its bytes, as printable() does
    return bytes([byte if byte >= 32 else 63 for byte in data]).decode()


def add(entries: list, made: dict):
    """Add an entry at the end; the same error is counted. At most eight stay."""
    for old in entries:
        if old["code"] == made["code"] and old["where"] == made["where"]:
            made["count"] += old["count"]
            entries.remove(old)
            break
    entries.append(made)
    del entries[:-_MOST]


def load(path: str) -> list:
    """The entries of a file, the last at the end; none if it cannot be read, or is damaged."""
    try:
        with open(path) as file:
            entries = json.load(file)
        return [e for e in entries if set(e) >= {"utc", "code", "where", "count"}][-_MOST:]
    except (OSError, ValueError, TypeError):
        return []


def save(path: str, made: list):
    """Add entries to those of a file, which is replaced whole. What cannot be written is said."""
    entries = load(path)
    for one in made:
        add(entries, one)
    try:
        with open(path + ".new", "w") as file:
            json.dump(entries, file)
        os.rename(path + ".new", path)
    except OSError as error:
        print("error: cannot write %s: %s" % (path, error))


def utc() -> str:
    """The time now → "YYYY-MM-DD HH:MM:SS"."""
    return "%d-%02d-%02d %02d:%02d:%02d" % tuple(time.gmtime()[:6])
