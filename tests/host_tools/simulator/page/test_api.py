"""The page's API: devices, enrollments, messages, the rate and requests."""

import contextlib
import time

import pytest

from helpers.pages import (
    HUBS,
    device_record,
    enrollment_record,
    raw,
    refused,
    send,
)
from microdps import advice
from microdps_tools.simulator.page.api import BODY_LIMIT
from microdps_tools.simulator.page.excerpt import EXCERPT
from microdps_tools.simulator.store.store import Store

MANY = 10_000
AFTER = {"afterId": "id", "afterHub": "hub"}
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
TURNED = "abc\N{RIGHT-TO-LEFT OVERRIDE}def"


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=501", "limit=-1", "limit=1.0", "limit=", "limit=x", "limit=%D9%A1"),
        *(
            "limit=1&limit=2",
            "other=1",
            "search=" + "x" * 129,
            "search=%ff",
            "search=%00",
            "search",
            "%00=1",
        ),
        *("limit=99999999999999999999", "after=1"),
    ],
)
@pytest.mark.parametrize("call", ["devices", "enrollments"])
def test_bad_parameters_of_calls_with_pages(many, call, query):
    refused(raw(many, "GET", f"/api/{call}?{query}"), 400)


@pytest.mark.parametrize(
    "call",
    [
        *("messages?after=-1", "messages?after=x", "messages?hub=x", "messages?device=x"),
        *("requests?errors=2", "requests?errors=true", "requests?hub=x", "requests?limit=1000"),
        *("rate?after=x", "rate?limit=1", "overview?after=1", "messages?after=9007199254740993"),
    ],
)
def test_bad_parameters_of_other_calls(many, call):
    refused(raw(many, "GET", f"/api/{call}"), 400)


def test_pages_have_every_device_once_and_in_order(many):
    found = [device["id"] for device in many.pages("devices", AFTER, 333)]
    assert found == [f"bench-{i:05}" for i in range(MANY)]


def test_pages_have_a_device_of_each_hub_that_shares_its_id(few):
    for hub in reversed(HUBS):
        for i in range(5):
            few.store.devices.put(hub, *device_record(f"d{i}"))
    found = list(few.pages("devices", AFTER, 3))
    assert [(one["id"], one["hub"]) for one in found] == [
        (f"d{i}", hub) for i in range(5) for hub in HUBS
    ]


def test_pages_have_every_enrollment_once_the_groups_first(many):
    pages = many.pages("enrollments", {"afterKind": "kind", "afterId": "key"}, 500)
    found = [(one["kind"], one["id"]) for one in pages]
    groups = [("group", "line-01"), ("group", "line-02")]
    assert found == groups + [("individual", f"bench-{i:05}") for i in range(MANY)]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("bench-09999", ["bench-09999"]),
        ("H-09999", ["bench-09999"]),
        ("0999", ["bench-00999", *(f"bench-0999{i}" for i in range(10))]),
        *[(text, []) for text in ("bench_", "%", "!", "'", '"', "\\", "bench-10000")],
    ],
)
def test_search_finds_a_text_in_any_case(many, search, expected):
    answer = many.get("devices", search=search)
    assert [device["id"] for device in answer["devices"]] == expected
    assert not answer["more"]
    found = many.get("enrollments", search=search)["enrollments"]
    assert [enrollment["id"] for enrollment in found] == expected


def test_search_finds_a_registration_id_and_special_characters(few):
    few.store.devices.put(HUBS[0], *device_record("thermometer-7", registration_id="device-01"))
    few.store.devices.put(HUBS[0], *device_record("100%_a!b"))
    for search, expected in (("E-01", "thermometer-7"), ("0%_", "100%_a!b"), ("a!B", "100%_a!b")):
        assert [d["id"] for d in few.get("devices", search=search)["devices"]] == [expected]


def test_device_row(few):
    few.store.devices.put(HUBS[0], *device_record("d", "disabled", "r"))
    (device,) = few.get("devices")["devices"]
    assert device == {
        "id": "d",
        "hub": HUBS[0],
        "registrationId": "r",
        "kind": "group",
        "status": "disabled",
        "heard": None,
        "silent": False,
        "connected": False,
        "messages": 0,
        "last": None,
    }
    for count in range(1, 4):
        send(few.store, "d", {"n": count})
        send(few.store, "other", b"x")
        send(few.store, "d", b"y", hub=HUBS[1])
        (device,) = few.get("devices")["devices"]
        assert device["messages"] == count
        assert device["last"]["body"] == f'{{"n": {count}}}'


def test_enrollment_row(few):
    name, record = enrollment_record("Device-01")
    few.store.enrollments.put("individual", name, record | {"deviceId": "d"}, ["A"])
    name, record = enrollment_record("Group-01", group=True)
    authority = {"x509": {"caReferences": {"primary": "factory"}, "signingCertificates": None}}
    record |= {"attestation": authority, "iotHubs": [HUBS[1]], "provisioningStatus": "disabled"}
    few.store.enrollments.put("group", name, record, ["B"])
    group, individual = few.get("enrollments")["enrollments"]
    assert (group["id"], group["certificate"], group["until"]) == ("Group-01", "factory", "")
    assert (group["hubs"], group["status"]) == ([HUBS[1]], "disabled")
    assert (individual["id"], individual["key"]) == ("Device-01", "device-01")
    assert (individual["certificate"], individual["deviceId"]) == ("CN=Device-01", "d")
    assert individual["until"] == "2031-02-03T04:05:06Z"


def test_only_newer_messages_are_returned(few):
    send(few.store, "a", *({"n": i} for i in range(5)))
    send(few.store, "b", {"n": 9})
    everything = few.get("messages")["messages"]
    assert [one["numbers"]["n"] for one in everything] == [9, 4, 3, 2, 1, 0]
    assert few.get("messages", after=everything[0]["number"])["messages"] == []
    mine = few.get("messages", hub=HUBS[0], device="a", after=everything[3]["number"])
    assert [one["numbers"]["n"] for one in mine["messages"]] == [4, 3]
    assert few.get("messages", hub=HUBS[1], device="a")["messages"] == []
    assert [m["device"] for m in few.get("messages", limit=2)["messages"]] == ["b", "a"]


def test_hostile_ids_and_bodies_are_returned_safely(few):
    bodies = [HOSTILE, b"\xff\x00\xfe", b"", TURNED, b"[" * 5000, b'{"a":1e999,"b":NaN,"c":1}']
    few.store.devices.put(HUBS[0], *device_record(HOSTILE))
    for body in bodies:
        send(few.store, HOSTILE, body if isinstance(body, bytes) else body.encode())
    (device,) = few.get("devices")["devices"]
    assert device["id"] == HOSTILE
    messages = few.get("messages", hub=HUBS[0], device=HOSTILE)["messages"]
    assert [one["device"] for one in messages] == [HOSTILE] * len(bodies)
    shown = [one["body"] for one in reversed(messages)]
    assert shown[:4] == [HOSTILE, "\ufffd" * 3, "", TURNED.replace("\u202e", "\ufffd")]
    assert shown[4] == "[" * EXCERPT + "…"
    assert [one["numbers"] for one in messages] == [{"c": 1}, {}, {}, {}, {}, {}]


def test_large_body_is_cut_and_not_searched(few):
    few.store.devices.put(HUBS[0], *device_record("d"))
    send(few.store, "d", b'{"a": 1, "b": "' + b"\xc3\xa4" * BODY_LIMIT + b'"}')
    (message,) = few.get("messages")["messages"]
    assert (message["size"], message["numbers"]) == (2 * BODY_LIMIT + 17, {})
    assert message["body"] == '{"a": 1, "b": "' + "ä" * (EXCERPT - 15) + "…"
    assert few.get("devices")["devices"][0]["last"]["body"] == message["body"]


def test_requests_are_returned_newest_first_with_explanations(few):
    few.store.requests.add(
        [
            ("dps", "PUT", "/a", 202, (), ""),
            ("dps", "PUT", f"/{HOSTILE}", 401, (), "401002 Unauthorized"),
            ("hub", "POST", "/b", 204, (), ""),
        ]
    )
    third, second, first = few.get("requests")["requests"]
    assert [one["path"] for one in (first, second, third)] == ["/a", f"/{HOSTILE}", "/b"]
    assert (first["explanation"], first["error"]) == (None, "")
    assert second["explanation"]["happened"] == advice.lookup(401002)[0]
    assert few.get("requests", after=second["number"])["requests"] == [third]
    assert few.get("requests", errors=1)["requests"] == [second]
    assert few.get("requests", limit=1)["requests"] == [third]
    assert few.get("overview")["errors"] == {"count": 1, "of": 3}


def test_overview_counts_and_its_mark_changes(few):
    first = few.get("overview")
    assert first["idScope"] == few.store.id_scope
    assert first["hubs"] == list(HUBS)
    assert (first["devices"], first["messages"], first["requests"]) == (0, 0, 0)
    assert first["enrollments"] == {"group": 0, "individual": 0}
    assert few.get("overview") == first
    few.store.devices.put(HUBS[0], *device_record("d"))
    few.store.enrollments.put("group", *enrollment_record("g", group=True), ["A"])
    send(few.store, "d", b"1", b"2")
    second = few.get("overview")
    assert (second["devices"], second["messages"]) == (1, 2)
    assert second["enrollments"] == {"group": 1, "individual": 0}
    assert second["mark"] != first["mark"]
    assert second["instance"] == first["instance"]


def test_mark_changes_with_the_simulators_own_changes(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        before = store.totals()["mark"]
        assert store.totals()["mark"] == before
        store.messages.add(HUBS[0], "d", {}, b"")
        assert store.totals()["mark"] != before


def test_rate_counts_messages_in_steps_of_time(few):
    send(few.store, "d", *[b"x"] * 20, ago_s=10)
    answer = few.get("rate")
    assert answer["stepS"] == 2
    assert len(answer["steps"]) == 150
    assert sum(step["count"] for step in answer["steps"]) == 20
    assert max(step["count"] for step in answer["steps"]) == 2
    last = answer["steps"][-4]["at"]
    newer = few.get("rate", after=last)["steps"]
    assert newer[:3] == answer["steps"][-3:]


def test_time_of_the_last_message_reads_only_newer_messages(many):
    """It groups them by device: that sorts them, but it never reads all messages again."""
    store, asked = many.store, []
    store._db.set_trace_callback(asked.append)
    store.messages.heard()
    store._db.set_trace_callback(None)
    plans = [step[3] for step in store._db.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert plans[0] == "SEARCH messages USING INTEGER PRIMARY KEY (rowid>?)"


def test_queries_use_indexes(many):
    """No query reads all messages or requests, and none sorts. An index counts the devices."""
    store, asked = many.store, []
    store._db.set_trace_callback(asked.append)
    store.totals()
    for search in ("", "09999"):
        store.devices.search(search, ("bench-05000", HUBS[0]), 20)
        store.enrollments.search(search, ("individual", "bench-05000"), 20)
    store.messages.last((HUBS[0], "bench-00000"), 5, 300, BODY_LIMIT)
    store.messages.last(None, 5, 8, BODY_LIMIT)
    store.messages.count_of(HUBS[0], "bench-00000", 7)
    store.messages.times(HUBS[0], "bench-00000", 8)
    store.messages.properties([1, 2, 3])
    send(store, "bench-00000", b"1")
    store.messages.count_before(time.time())
    store.requests.last(0, 50, False)
    store.requests.last(10, 50, True)
    store._db.set_trace_callback(None)
    plans = [
        step[3]
        for query in asked
        if query.startswith("SELECT")
        for step in store._db.execute(f"EXPLAIN QUERY PLAN {query}")
    ]
    assert len(plans) > 15
    for plan in plans:
        assert plan.startswith("SEARCH") or "COVERING INDEX" in plan, plan
        assert "SCAN messages" not in plan and "SCAN requests" not in plan
        assert "TEMP B-TREE" not in plan
