"""Old messages are deleted when there are too many of them, or they are too large."""

import contextlib

import pytest

from helpers.by_hand import enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.__main__ import parser
from microdps_tools.simulator.store.store import Store


@pytest.fixture
def store(tmp_path):
    with contextlib.closing(Store(tmp_path)) as made:
        yield made


def bodies(store) -> list[bytes]:
    return [body for *_, body in store.messages.all()]


def add(store, *texts: str) -> None:
    for text in texts:
        store.messages.add("hub", "device", {}, text.encode())


def test_newest_are_kept(store):
    store.messages.limit(3, 10**6)
    add(store, *"abcdefg")
    assert bodies(store) == [b"e", b"f", b"g"]
    assert store.messages.last_number() == 7  # how many were accepted


def test_limit_counts_what_is_there_already(store):
    add(store, *"abcdefg")
    store.messages.limit(2, 10**6)
    assert bodies(store) == [b"f", b"g"]


def test_size_is_limited(store):
    store.messages.limit(10**6, 1000)
    add(store, "a" * 500, "b" * 300, "c" * 300)
    assert [body[:1] for body in bodies(store)] == [b"b", b"c"]
    add(store, "d" * 5000)
    assert [len(body) for body in bodies(store)] == [5000]  # the newest stays in any case
    add(store, "e")
    assert bodies(store) == [b"e"]


def test_some_more_are_deleted_than_necessary(store):
    store.messages.limit(1000, 10**9)
    for number in range(1001):
        add(store, str(number))
    assert len(bodies(store)) == 990
    add(store, "x")
    assert len(bodies(store)) == 991


def test_rollback_is_counted(store):
    store.messages.limit(3, 10**6)
    add(store, "a")
    store.begin()
    add(store, "b", "c")
    store.rollback()
    add(store, "d", "e")
    assert bodies(store) == [b"a", b"d", b"e"]


def test_option(tmp_path):
    with start_simulator(tmp_path, "--keep=2") as at:
        device = enrolled_device(enrolled(tmp_path, at), "keep-01")
        device.provision()
        for text in (b"a", b"b", b"c"):
            assert device.send(data=text).status_code == 204
        assert [body for _, body in device.messages()] == [b"b", b"c"]
        log = (tmp_path / "state" / "simulator.log").read_text()
        assert " keep=2,1000MB " in log


@pytest.mark.parametrize(
    ("text", "count", "size"),
    [
        ("5", 5, 10**9),
        ("200MB", 10**6, 200 * 10**6),
        ("7,3gb", 7, 3 * 10**9),
        ("1kb, 10", 10, 1000),
    ],
)
def test_values_of_the_option(text, count, size):
    assert parser().parse_args(["simulate", "--keep", text]).keep == (count, size)


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "5,", "1TB", "1.5GB", "9" * 20])
def test_wrong_values_of_the_option(text, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["simulate", f"--keep={text}"])
    assert "number of messages" in capsys.readouterr().err
