"""Shared by the tests of the page: pages with much, little and lively data, and a browser."""

import contextlib
import os
import shutil

import pytest

import helpers.browser
from helpers.browser import PROGRAMS, Browser
from helpers.pages import (
    HUBS,
    Served,
    device_record,
    enrollment_record,
    send,
    servers,
    weather,
)
from microdps_tools.simulator.store.store import Store

MANY = 10_000


@pytest.fixture(scope="module")
def serve():
    with servers() as serve:
        yield serve


@pytest.fixture(scope="module")
def many(serve, tmp_path_factory):
    """A page with 10,000 devices on two hubs."""
    state = tmp_path_factory.mktemp("many")
    with contextlib.closing(Store(state)) as store:
        store.begin()
        for i in range(MANY):
            store.devices.put(HUBS[i % 2], *device_record(f"bench-{i:05}"))
            store.enrollments.put("individual", *enrollment_record(f"bench-{i:05}"), [f"{i}"])
        store.enrollments.put("group", *enrollment_record("line-01", group=True), ["A"])
        store.enrollments.put("group", *enrollment_record("line-02", group=True), ["B"])
        store.commit()
        yield Served(serve(state), store)


@pytest.fixture
def few(serve, tmp_path):
    """A page without anything on it."""
    with contextlib.closing(Store(tmp_path)) as store:
        yield Served(serve(tmp_path), store)


@pytest.fixture(scope="module")
def chromium():
    """One Chromium for all tests of a module."""
    if not all(map(shutil.which, PROGRAMS)):
        why = "there is no chromium, or no chromedriver"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    with helpers.browser.chromium() as driver:
        yield driver


@pytest.fixture
def browser(chromium):
    browser = Browser(chromium)
    browser.size(1280, 800)
    yield browser
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get("about:blank")


@pytest.fixture
def lively(few):
    """A page as it looks after some minutes of use."""
    store = few.store
    names = [f"greenhouse-{i:02}" for i in range(1, 15)]
    for at, name in enumerate(names):
        store.devices.put(HUBS[at % 2], *device_record(name, "disabled" if at == 6 else "enabled"))
    store.devices.put(HUBS[0], *device_record("thermometer-7", registration_id="device-01"))
    for ago in range(240, 0, -12):
        for at, name in enumerate(names[: 3 + ago % 9]):
            send(store, name, weather(ago + at), hub=HUBS[at % 2], ago_s=50 + ago + at / 20)
    send(store, names[0], *(weather(i) for i in range(45)))
    store.enrollments.put("group", *enrollment_record("greenhouse", group=True), ["A"])
    name, record = enrollment_record("device-01")
    store.enrollments.put("individual", name, record | {"deviceId": "thermometer-7"}, ["B"])
    path = f"/{store.id_scope}/registrations/greenhouse-0"
    store.requests.add(
        [
            ("dps", "PUT", f"{path}1/register", 202, (), ""),
            ("dps", "GET", f"{path}1/operations/5.9f0c", 200, (), ""),
            ("dps", "PUT", f"{path}9/register", 401, (), "401002 Unauthorized"),
            ("hub", "POST", "/devices/greenhouse-07/messages/events", 403, (), "403012 Disabled"),
            ("hub", "CONNECT", "mqtt:greenhouse-03", 200, (), ""),
            ("hub", "PUBLISH", "mqtt:devices/greenhouse-03/messages/events/", 200, (), ""),
            ("hub", "POST", "/devices/greenhouse-01/messages/events", 204, (), ""),
        ]
    )
    return few
