"""The record of flashed boards."""

import pytest

from microdps_tools import ToolError
from microdps_tools.board.flash_record import Entry, Record


def test_cut_off_line_is_ignored_and_a_bad_line_is_named(tmp_path):
    path = tmp_path / "record.jsonl"
    record = Record(path)
    entry = Entry("2026-11-26T00:00:00Z", "a", "m", "t", "p", 1, "flashed")
    record.add(entry)
    path.write_text(path.read_text() + '{"utc": "2026')
    again = Record(path)
    assert again.flashed_ids() == {"a"}
    again.add(entry)
    assert len(Record(path).entries) == 2
    path.write_text("no record\n" + path.read_text())
    with pytest.raises(ToolError, match="line 1, is not an entry of the record"):
        Record(path)
