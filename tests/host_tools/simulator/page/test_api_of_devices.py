"""The page's API: silent devices, whole messages, one rate, and what counts as an error."""

import base64
import time

import requests

from helpers.pages import HUBS, device_record, send


def test_devices_by_silence_in_pages(few):
    """The one that was never heard comes first, then the one that has been silent for longest."""
    for name, ago_s in (("a", 10), ("b", 500), ("c", 70), ("d", None), ("e", 500)):
        few.store.devices.put(HUBS[0], *device_record(name))
        if ago_s is not None:
            send(few.store, name, b"1", b"2", ago_s=ago_s)
    after = {"afterId": "id", "afterHub": "hub", "afterHeard": "heard"}
    given, more, found = {}, True, []
    while more:
        page = few.get("devices", limit=2, sort="silent", **given)
        found, more = found + page["devices"], page["more"]
        given = {name: found[-1][key] or 0 for name, key in after.items()}
    assert [one["id"] for one in found] == ["d", "b", "e", "c", "a"]
    assert [one["silent"] for one in found] == [False, True, True, True, False]
    assert [one["id"] for one in few.get("devices", sort="silent", search="b")["devices"]] == ["b"]
    for wrong in ({"sort": "x"}, {"sort": "silent", "afterHeard": "x"}):
        assert requests.get(f"{few.url}api/devices", params=wrong, timeout=20).status_code == 400


def test_device_that_seldom_sends_is_not_silent(few):
    few.store.devices.put(HUBS[0], *device_record("d"))
    for ago_s in (3000, 2000, 1000):
        send(few.store, "d", b"x", ago_s=ago_s)
    (device,) = few.get("devices")["devices"]
    assert not device["silent"]
    assert abs(device["heard"] + 1000 - time.time()) < 60


def test_whole_message_with_its_properties(few):
    body = b"\xff" + b"x" * 20_000
    few.store.messages.add(HUBS[0], "d", {"iothub-messageid": "m1", "iothub-app-a": "b\n"}, body)
    few.store.messages.add(HUBS[0], "d", {}, b"next")
    first, second = few.get("messages", oldest=1, whole=1)["messages"]
    assert base64.b64decode(first["base64"]) == body
    assert first["properties"] == {"iothub-messageid": "m1", "iothub-app-a": "b\ufffd"}
    assert (second["whole"], second["properties"]) == ("next", {})
    assert "whole" not in few.get("messages")["messages"][0]


def test_rate_of_the_overview_is_that_of_the_chart(few):
    send(few.store, "d", *[b"x"] * 30, ago_s=2)
    overview, steps = few.get("overview"), few.get("rate")["steps"]
    assert overview["rate"] in [step["count"] / 2 for step in steps[-2:]]
    assert overview["rate"] > 0


def test_lookup_of_an_enroller_is_no_error(few):
    for method, path in (
        ("GET", "/enrollments/new"),
        ("GET", "/enrollmentGroups/new"),
        ("GET", "/subscriptions/s/certificates/new"),
        ("DELETE", "/enrollments/new"),
    ):
        few.store.requests.add([("dps", method, path, 404, (), "404201 Not found.")])
    assert few.get("overview")["errors"]["count"] == 1
    (request,) = few.get("requests", errors=1)["requests"]
    assert request["method"] == "DELETE"
    assert len(few.get("requests")["requests"]) == 4
