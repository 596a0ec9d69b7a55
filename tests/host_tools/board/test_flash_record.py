"""The record of flashed boards, and what keeps two runs from giving two boards one identity."""

import json
import signal
import subprocess
import sys

import pytest

from microdps_tools import CHECKOUT, ToolError
from microdps_tools.board.flash_record import ENDED, FLASHED, Entry, Record

UTC = "2026-11-26T00:00:00Z"
ONE, TWO = "24:0a:c4:00:00:01", "24:0a:c4:00:00:02"


def entry(name: str, mac: str, result: str = FLASHED, **more) -> Entry:
    return Entry(UTC, name, mac, "t", "p", 1, result, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.jsonl"


@pytest.fixture
def opened(path):
    """Open the record as another run would → Record."""
    made = []

    def make() -> Record:
        made.append(Record(path))
        return made[-1]

    yield make
    for record in made:
        record.close()


def test_cut_off_line_is_ignored_and_a_bad_line_is_named(path, opened):
    record = opened()
    record.add(entry("a", "m"))
    path.write_text(path.read_text() + '{"utc": "2026')
    again = opened()
    assert again.flashed_ids() == {"a"}
    again.add(entry("a", "m"))
    assert len(opened().entries) == 2
    path.write_text("no record\n" + path.read_text())
    with pytest.raises(ToolError, match="line 1, is not an entry of the record"):
        opened()


def test_two_runs_append_to_one_record(opened):
    first, second = opened(), opened()
    for number in range(3):
        first.add(entry(f"a{number}", ONE))
        second.add(entry(f"b{number}", TWO))
    names = [one.registration_id for one in opened().entries]
    assert names == ["a0", "b0", "a1", "b1", "a2", "b2"]
    first.add(entry("last", ONE))
    assert [one.registration_id for one in first.entries] == [*names, "last"]


def test_reserved_device_is_for_one_run(opened, path):
    first, second = opened(), opened()
    assert first.reserve(ONE, ["a", "b"], False, False) == "a"
    assert second.reserve(TWO, ["a", "b"], False, False) == "b"
    assert second.taken_ids() == {"a"}
    with pytest.raises(ToolError, match="a is being flashed to another board"):
        second.reserve(TWO, ["a"], True, True)
    first.add(entry("a", ONE))
    with pytest.raises(ToolError, match=f"a is on the board {ONE} already"):
        second.reserve(TWO, ["a"], False, False)
    first.close()
    second.close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_failed_attempt_frees_its_device(opened):
    first, second = opened(), opened()
    first.reserve(ONE, ["a"], False, False)
    first.add(entry("a", ONE, "the cable was pulled"))
    assert second.reserve(TWO, ["a"], False, False) == "a"


def test_device_that_may_be_on_a_board_goes_to_that_board_only(opened):
    record = opened()
    record.add(entry("a", ONE, "the cable was pulled", uncertain=True))
    with pytest.raises(ToolError, match=f"a is on the board {ONE} already, or may be"):
        record.reserve(TWO, ["a"], True, False)
    assert record.reserve(TWO, ["a", "b"], True, False) == "b"
    assert record.reserve(ONE, ["b", "a"], False, False) == "a"
    record.add(entry("a", ONE, "pulled again", uncertain=True))
    assert record.reserve(TWO, ["a"], True, True) == "a"  # the user wants this one


KILLED = """
import sys
from pathlib import Path
from microdps_tools.board.flash_record import Record
record = Record(Path(sys.argv[1]))
print(record.reserve(sys.argv[2], ["a", "b"], False, False), flush=True)
sys.stdin.read()
"""


def test_run_that_is_killed_leaves_its_reservation(opened, path):
    """Its identity may be on the board, so only that board gets it."""
    words = [sys.executable, "-c", KILLED, str(path), ONE]
    with subprocess.Popen(
        words, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "a\n"
        assert opened().reserve(TWO, ["a", "b"], False, False) == "b"
        run.send_signal(signal.SIGKILL)
    record = opened()
    assert record.reserve(TWO, ["a", "c"], False, False) == "c"
    (noted,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (noted["registration_id"], noted["mac"], noted["result"]) == ("a", ONE, ENDED)
    assert record.reserve(ONE, ["d", "a"], False, False) == "a"


RACE = """
import sys
from pathlib import Path
from microdps_tools.board.flash_record import FLASHED, Entry, Record
names = [f"d{number}" for number in range(40)]
for number in range(20):
    record = Record(Path(sys.argv[1]))
    mac = f"{sys.argv[2]}-{number}"
    name = record.reserve(mac, [one for one in names if one not in record.taken_ids()], 0, 0)
    record.add(Entry("", name, mac, "", "", 0, FLASHED))
    record.close()
"""


def test_runs_at_the_same_time_give_each_device_one_board(path):
    runs = [
        subprocess.Popen([sys.executable, "-c", RACE, str(path), run], cwd=CHECKOUT)
        for run in "xy"
    ]
    assert [run.wait(60) for run in runs] == [0, 0]
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({one["registration_id"] for one in entries}) == len(entries) == 40
    assert [one.name for one in path.parent.iterdir()] == [path.name]
