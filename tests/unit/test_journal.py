"""The journal of errors: what an entry tells, how it is counted, and that it stays small."""

import json
import os

from harness import raised
from microdps.errors import IdentityError, LinkError
from microdps.program import journal
from microdps.protocol.service_error import error as service_error

FILE = "errors-under-test.json"


class SilentError(Exception):
    def __str__(self):
        raise ValueError("no text")


def fail():
    raise ZeroDivisionError("sensor\x1b" + "x" * 500)


def entries(*codes):
    return [{"utc": "u%d" % n, "code": c, "where": "w", "count": 1} for n, c in enumerate(codes)]


def clean(test):
    def run():
        for name in (FILE, FILE + ".new"):
            try:
                os.remove(name)
            except OSError:
                pass
        try:
            test()
        finally:
            for name in (FILE, FILE + ".new"):
                try:
                    os.remove(name)
                except OSError:
                    pass

    return run


def test_entry_of_an_error():
    made = journal.entry(service_error(None, "dps", 401, 401002, "no", "tracking"))
    assert (made["code"], made["where"], made["tracking_id"]) == (401002, "dps", "tracking")
    assert made["count"] == 1 and "exception" not in made and "free" not in made
    assert len(made["utc"]) >= 18 and made["utc"][:2] == "20"
    made = journal.entry(IdentityError("missing", "identity/a/key.der"))
    assert made["tracking_id"] == ""


def test_entry_of_a_link_error_has_the_memory():
    made = journal.entry(LinkError("closed", "hub"))
    assert made["free"] != 0 and made["idf_free"] == -1


def test_entry_of_an_exception_has_its_class_text_and_line():
    made = journal.entry(raised(fail))
    assert made["code"] == "ZeroDivisionError" and made["exception"] is True
    text, _, place = made["where"].rpartition(" (")
    assert text == "sensor?" + "x" * 73
    name, _, number = place.partition(":")
    assert name.split(".")[0] == "test_journal" and int(number[:-1]) > 9
    made = journal.entry(raised(int, "x"))
    assert made["code"] == "ValueError"


def test_line_of_a_file_in_no_folder():
    error = raised(exec, "x = 1\nraise ValueError('y')")
    assert journal.line(error) == "<string>:2"


def test_exception_without_a_traceback_or_a_text():
    assert journal.line(ValueError("never raised")) == "no line known"

    def silent():
        raise SilentError

    made = journal.entry(raised(silent))
    assert made["code"] == "SilentError" and made["where"][:8] == "no text "


def test_same_error_is_counted_and_moves_to_the_end():
    kept = entries("a", "b")
    made = {"utc": "later", "code": "a", "where": "w", "count": 2}
    journal.add(kept, made)
    assert [(e["code"], e["count"], e["utc"]) for e in kept] == [("b", 1, "u1"), ("a", 3, "later")]
    journal.add(kept, {"utc": "x", "code": "a", "where": "elsewhere", "count": 1})
    journal.add(kept, {"utc": "x", "code": "c", "where": "w", "count": 1})
    assert [e["code"] for e in kept] == ["b", "a", "a", "c"]


def test_eight_entries_are_kept():
    kept = []
    for one in entries(*range(12)):
        journal.add(kept, one)
    assert [e["code"] for e in kept] == list(range(4, 12))


@clean
def test_saved_entries_are_loaded_and_added_to():
    journal.save(FILE, entries("a", "b"))
    journal.save(FILE, entries("a"))
    assert [(e["code"], e["count"]) for e in journal.load(FILE)] == [("b", 1), ("a", 2)]
    assert FILE + ".new" not in os.listdir(".")


@clean
def test_file_that_is_no_journal_counts_as_none():
    assert journal.load(FILE) == []
    for text in ("", "{", "5", "[5]", '[{"code": 1}]', "null", '{"a": 1}'):
        with open(FILE, "w") as file:
            file.write(text)
        assert journal.load(FILE) == [], text
        journal.save(FILE, entries("a"))
        assert len(journal.load(FILE)) == 1


@clean
def test_long_file_is_cut():
    with open(FILE, "w") as file:
        json.dump(entries(*range(20)), file)
    assert [e["code"] for e in journal.load(FILE)] == list(range(12, 20))


def test_flash_that_cannot_be_written_is_no_reason_to_stop():
    journal.save("no-such-folder/errors.json", entries("a"))
