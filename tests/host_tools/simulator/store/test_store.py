"""The store keeps everything over a restart."""

import contextlib
import dataclasses
import re

import pytest
import requests

from helpers.simulators import Simulator, enrolled, start_simulator
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.store.store import Store

RECORD = {"registrationId": "Device-01", "deviceId": "ä"}


@pytest.fixture
def reopened(tmp_path):
    """A function that opens the store of one folder again, as a restart does."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Store(tmp_path / "state")))


def test_settings_keep_their_values(reopened):
    store = reopened()
    id_scope, key = store.id_scope, store.service_key
    assert re.fullmatch(r"0ne\d{8}", id_scope)
    assert len(key) == 44
    assert (store.id_scope, store.service_key) == (id_scope, key)
    store.close()
    assert (reopened().id_scope, reopened().service_key) == (id_scope, key)


def test_two_simulators_have_nothing_in_common(tmp_path):
    with (
        contextlib.closing(Store(tmp_path / "a")) as a,
        contextlib.closing(Store(tmp_path / "b")) as b,
    ):
        assert a.id_scope != b.id_scope
        assert a.service_key != b.service_key


def test_setting_can_be_changed(reopened):
    store = reopened()
    store.set("id_scope", "0ne00111111")
    store.close()
    assert reopened().id_scope == "0ne00111111"


def test_everything_is_kept_over_a_restart(reopened):
    store = reopened()
    store.enrollments.put("individual", "Device-01", RECORD, ["AA", "BB"])
    store.registrations.put("Device-01", "5.op", RECORD, ["AA"])
    store.devices.put("Hub:1", "ä", RECORD)
    store.messages.add("Hub:1", "ä", {"content-type": "x"}, b"\0\xff")
    store.requests.add([("dps", "PUT", "/x", 202, ("Device-01",), "")])
    store.close()
    store = reopened()
    assert store.enrollments.get("individual", "dEVICE-01") == RECORD
    assert (
        store.enrollments.with_certificate("AA")
        == store.enrollments.with_certificate("BB")
        == ("individual", "device-01")
    )
    operation, _, record, chain = store.registrations.get("dEVICE-01")
    assert (operation, record, chain) == ("5.op", RECORD, ["AA"])
    assert store.devices.get("hUB:1", "ä") == RECORD
    assert list(store.messages.all()) == [("hub:1", "ä", {"content-type": "x"}, b"\0\xff")]
    (request,) = store.requests.all()
    assert request.pop("at") > 0
    assert request == {
        "service": "dps",
        "method": "PUT",
        "path": "/x",
        "status": 202,
        "chain": ["Device-01"],
        "error": "",
    }


def test_unknown_names(reopened):
    store = reopened()
    assert store.enrollments.get("individual", "x") is None
    assert store.enrollments.with_certificate("x") is None
    assert store.registrations.get("x") is None
    assert store.devices.get("hub", "x") is None
    assert list(store.messages.all()) == store.requests.all() == []


def test_device_ids_are_case_sensitive(reopened):
    store = reopened()
    store.devices.put("hub", "a", RECORD)
    assert store.devices.get("hub", "A") is None


def test_individual_and_group_may_have_the_same_name(reopened):
    store = reopened()
    store.enrollments.put("individual", "x", {"n": 1}, ["AA"])
    store.enrollments.put("group", "x", {"n": 2}, ["BB"])
    assert store.enrollments.get("individual", "x") == {"n": 1}
    assert store.enrollments.with_certificate("AA") == ("individual", "x")
    assert store.enrollments.with_certificate("BB") == ("group", "x")


def test_replaced_enrollment_loses_its_old_certificates(reopened):
    store = reopened()
    store.enrollments.put("individual", "x", {"n": 1}, ["AA", "BB"])
    store.enrollments.put("individual", "X", {"n": 2}, ["BB", "CC"])
    assert store.enrollments.get("individual", "x") == {"n": 2}
    assert store.enrollments.with_certificate("AA") is None
    assert (
        store.enrollments.with_certificate("BB")
        == store.enrollments.with_certificate("CC")
        == ("individual", "x")
    )


def test_messages_are_in_the_order_of_acceptance(reopened):
    store = reopened()
    for i in range(20):
        store.messages.add("hub", f"d{i % 3}", {}, b"%d" % i)
    assert [body for *_, body in store.messages.all()] == [b"%d" % i for i in range(20)]


def test_database_is_readable_by_its_owner_only(reopened, tmp_path):
    reopened().id_scope  # noqa: B018  writes, so that SQLite makes its journal
    folder = tmp_path / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(("simulator.db", "simulator.db-wal", "simulator.db-shm"), 0o600)


def _send(simulator: Simulator, name: str) -> None:
    """Register a device and send a message, by hand."""
    folder = simulator.folder / "devices" / name
    options = {
        "cert": (folder / "full-chain.pem", folder / "key.pem"),
        "verify": str(simulator.root),
    }
    base = f"https://{simulator.dps}/{simulator.id_scope}/registrations/{name}"
    answer = requests.put(f"{base}/register?api-version=2021-06-01", timeout=20, **options)
    assert answer.status_code == 202
    url = f"https://{simulator.hub}/devices/{name}/messages/events?api-version=2020-03-13"
    assert requests.post(url, data=b"hello", timeout=20, **options).status_code == 204


def test_restarted_simulator_keeps_everything(tmp_path):
    with start_simulator(tmp_path) as at:
        first = enrolled(tmp_path, at)
        first.device("device-01")
        _send(first, "device-01")
    kept = {name: (first.state / name).read_bytes() for name in ("root.cert.pem", "root.key.pem")}
    key = (first.state / "connection-string.key.txt").read_text().partition(";")[2]
    with running_simulator(tmp_path / "state") as at:
        again = dataclasses.replace(
            first, dps=at["dps"], hub=at["hub"], page=at["page"], id_scope=at["id_scope"]
        )
        assert (again.id_scope, at["root"]) == (first.id_scope, str(first.root))
        assert (again.state / "connection-string.key.txt").read_text().endswith(key)
        _send(again, "device-01")  # with the same enrollment and the same root
    assert kept == {name: (first.state / name).read_bytes() for name in kept}
    with contextlib.closing(Store(first.state)) as store:
        assert [m[1:] for m in store.messages.all()] == [("device-01", {}, b"hello")] * 2


def test_simulators_files_are_readable_by_their_owner_only(tmp_path):
    with running_simulator(tmp_path / "state") as at:
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        secret = [
            *("connection-string.key.txt", "root.key.pem"),
            *("simulator.db", "simulator.db-wal", "simulator.db-shm"),
        ]
        modes = {name: (tmp_path / "state" / name).stat().st_mode & 0o777 for name in secret}
        assert modes == dict.fromkeys(secret, 0o600)
        assert at["root"] == str(tmp_path / "state" / "root.cert.pem")
