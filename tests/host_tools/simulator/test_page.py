"""The simulator's page: its JSON by HTTP, and the page itself in headless Chromium.

MICRODPS_SCREENSHOTS: the folder that the screenshots are kept in
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from by_hand import Device
from conftest import PROGRAMS, TIMEOUT_S
from host_tools import CHECKOUT
from host_tools.simulator.page import BODY, EXCERPT, FIELDS, FILES, explanation, numbers
from host_tools.simulator.store import Store
from microdps import advice

HUBS = ("localhost:8444", "localhost:8446")
MANY = 10_000
AFTER = {"afterId": "id", "afterHub": "hub"}
HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
TURNED = "abc\N{RIGHT-TO-LEFT OVERRIDE}def"


@dataclass
class Served:
    """The page's server, and the store that it shows, which the test fills."""

    port: int
    store: Store

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    def get(self, call: str, **given) -> dict:
        """What a call of the API answers; fails if it is refused."""
        answer = requests.get(f"{self.url}api/{call}", params=given, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, call: str, after: dict[str, str], limit: int):
        """All rows of a call that answers in pages. after: parameter → the key of its value."""
        given, more = {}, True
        while more:
            page = self.get(call, limit=limit, **given)
            more = page["more"]
            yield from page[call]
            given = {name: page[call][-1][key] for name, key in after.items()}


@contextlib.contextmanager
def servers():
    """A process that serves the pages of states → a function: state, port (0: any) → port."""
    command = [sys.executable, PROGRAMS / "page.py", *HUBS]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as process:

        def serve(state: Path, port: int = 0) -> int:
            process.stdin.write(f"{port} {state}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield serve
        process.stdin.close()
        process.wait(TIMEOUT_S)


@pytest.fixture(scope="module")
def serve():
    with servers() as serve:
        yield serve


@pytest.fixture(scope="module")
def many(serve, tmp_path_factory):
    """A simulator with 10,000 devices on two hubs."""
    state = tmp_path_factory.mktemp("many")
    with contextlib.closing(Store(state)) as store:
        store.begin()
        for i in range(MANY):
            store.put_device(HUBS[i % 2], *_device(f"bench-{i:05}"))
            store.put_enrollment("individual", *_enrollment(f"bench-{i:05}"), [f"{i}"])
        store.put_enrollment("group", *_enrollment("line-01", group=True), ["A"])
        store.put_enrollment("group", *_enrollment("line-02", group=True), ["B"])
        store.commit()
        yield Served(serve(state), store)


@pytest.fixture
def few(serve, tmp_path):
    """A simulator that nobody has used yet."""
    with contextlib.closing(Store(tmp_path)) as store:
        yield Served(serve(tmp_path), store)


def _device(name: str, status: str = "enabled", registration_id: str | None = None):
    record = {
        "kind": "group",
        "registrationId": registration_id or name,
        "thumbprint": "AA",
        "status": status,
    }
    return name, record


def _enrollment(name: str, group: bool = False):
    key = "enrollmentGroupId" if group else "registrationId"
    info = {"subjectName": f"CN={name}", "notAfterUtc": "2031-02-03T04:05:06Z"}
    record = {
        key: name,
        "attestation": {"x509": {"clientCertificates": {"primary": {"info": info}}}},
        "provisioningStatus": "enabled",
        "allocationPolicy": "hashed",
    }
    return name, record


def _send(store: Store, device: str, *bodies, hub: str = HUBS[0], ago_s: float = 0) -> None:
    """Keep messages of a device, a second between two of them, the last one so long ago."""
    for left, body in zip(reversed(range(len(bodies))), bodies, strict=True):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        store.add_message(hub, device, {}, data)
        store._db.execute(
            "UPDATE messages SET at = at - ? WHERE number = (SELECT max(number) FROM messages)",
            (ago_s + left,),
        )


def raw(served: Served, method: str, path: str, **headers) -> tuple[int, dict, bytes]:
    """A request with exactly these headers → status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": "localhost"} | headers).items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def refused(answer: tuple[int, dict, bytes], status: int) -> None:
    assert answer[0] == status, answer
    assert answer[1]["content-type"] == "application/json"
    if answer[2]:
        assert list(json.loads(answer[2])) == ["error"]


# ---- The API ----


@pytest.mark.parametrize("path", FILES)
def test_files_come_with_their_types_and_nothing_from_elsewhere_may_run(many, path):
    status, headers, body = raw(many, "GET", path)
    name, kind = FILES[path]
    assert status == 200
    assert body == (CHECKOUT / "host_tools/simulator/page" / name).read_bytes()
    assert headers["content-type"] == kind
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy and "style-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/api", "/api/", "/api/devices/", "/../store.py", "//", "/page/page.js", "/x"],
)
def test_there_is_no_other_page(many, path):
    refused(raw(many, "GET", path), 404)


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/devices", "/api/overview"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(many, method, path):
    answer = raw(many, method, path)
    refused(answer, 405)
    assert answer[1]["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/page.css", "/api/devices", "/api/none"])
def test_head_is_get_without_the_body(many, path):
    status, headers, body = raw(many, "GET", path)
    again, same, nothing = raw(many, "HEAD", path)
    assert (again, nothing) == (status, b"")
    for kept in ("date", "server"):
        headers.pop(kept, None), same.pop(kept, None)
    assert same == headers
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8442", "127.0.0.1", "127.0.0.1:1", "[::1]:8442"]
)
def test_this_machines_own_names_are_answered(many, host):
    assert raw(many, "GET", "/api/overview", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "example.com:8442", "localhost.example.com", "127.0.0.1.example.com:80"),
        *("", "::1", "192.168.1.20:8442", "localhost:80:80", "user@localhost"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/overview", "/x"])
def test_another_sites_page_whose_name_resolves_to_us_learns_nothing(many, host, path):
    refused(raw(many, "GET", path, Host=host), 403)


def test_what_is_mounted_below_the_page_answers_for_itself(many):
    assert raw(many, "GET", "/other", Host="example.com")[::2] == (200, b"other")


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
def test_bad_parameters_of_a_page(many, call, query):
    refused(raw(many, "GET", f"/api/{call}?{query}"), 400)


@pytest.mark.parametrize(
    "call",
    [
        *("messages?after=-1", "messages?after=x", "messages?hub=x", "messages?device=x"),
        *("requests?errors=2", "requests?errors=true", "requests?hub=x", "requests?limit=1000"),
        *("rate?after=x", "rate?limit=1", "overview?after=1", "messages?after=9007199254740993"),
    ],
)
def test_bad_parameters_of_what_is_new(many, call):
    refused(raw(many, "GET", f"/api/{call}"), 400)


def test_pages_have_every_device_once_and_in_order(many):
    found = [device["id"] for device in many.pages("devices", AFTER, 333)]
    assert found == [f"bench-{i:05}" for i in range(MANY)]


def test_pages_have_a_device_of_each_hub_that_shares_its_id(few):
    for hub in reversed(HUBS):
        for i in range(5):
            few.store.put_device(hub, *_device(f"d{i}"))
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
def test_search_finds_a_text_as_it_is_in_any_case(many, search, expected):
    answer = many.get("devices", search=search)
    assert [device["id"] for device in answer["devices"]] == expected
    assert not answer["more"]
    found = many.get("enrollments", search=search)["enrollments"]
    assert [enrollment["id"] for enrollment in found] == expected


def test_search_finds_a_registration_id_and_special_characters(few):
    few.store.put_device(HUBS[0], *_device("thermometer-7", registration_id="device-01"))
    few.store.put_device(HUBS[0], *_device("100%_a!b"))
    for search, expected in (("E-01", "thermometer-7"), ("0%_", "100%_a!b"), ("a!B", "100%_a!b")):
        assert [d["id"] for d in few.get("devices", search=search)["devices"]] == [expected]


def test_device_with_its_state_and_last_message(few):
    few.store.put_device(HUBS[0], *_device("d", "disabled", "r"))
    (device,) = few.get("devices")["devices"]
    assert device == {
        "id": "d",
        "hub": HUBS[0],
        "registrationId": "r",
        "kind": "group",
        "status": "disabled",
        "messages": 0,
        "last": None,
    }
    for count in range(1, 4):
        _send(few.store, "d", {"n": count})
        _send(few.store, "other", b"x")
        _send(few.store, "d", b"y", hub=HUBS[1])
        (device,) = few.get("devices")["devices"]
        assert device["messages"] == count
        assert device["last"]["body"] == f'{{"n": {count}}}'


def test_enrollment_with_its_certificate(few):
    name, record = _enrollment("Device-01")
    few.store.put_enrollment("individual", name, record | {"deviceId": "d"}, ["A"])
    name, record = _enrollment("Group-01", group=True)
    authority = {"x509": {"caReferences": {"primary": "factory"}, "signingCertificates": None}}
    record |= {"attestation": authority, "iotHubs": [HUBS[1]], "provisioningStatus": "disabled"}
    few.store.put_enrollment("group", name, record, ["B"])
    group, individual = few.get("enrollments")["enrollments"]
    assert (group["id"], group["certificate"], group["until"]) == ("Group-01", "factory", "")
    assert (group["hubs"], group["status"]) == ([HUBS[1]], "disabled")
    assert (individual["id"], individual["key"]) == ("Device-01", "device-01")
    assert (individual["certificate"], individual["deviceId"]) == ("CN=Device-01", "d")
    assert individual["until"] == "2031-02-03T04:05:06Z"


def test_only_newer_messages_come(few):
    _send(few.store, "a", *({"n": i} for i in range(5)))
    _send(few.store, "b", {"n": 9})
    everything = few.get("messages")["messages"]
    assert [one["numbers"]["n"] for one in everything] == [9, 4, 3, 2, 1, 0]
    assert few.get("messages", after=everything[0]["number"])["messages"] == []
    mine = few.get("messages", hub=HUBS[0], device="a", after=everything[3]["number"])
    assert [one["numbers"]["n"] for one in mine["messages"]] == [4, 3]
    assert few.get("messages", hub=HUBS[1], device="a")["messages"] == []
    assert [m["device"] for m in few.get("messages", limit=2)["messages"]] == ["b", "a"]


def test_hostile_ids_and_bodies_are_told_as_they_are_or_marked(few):
    bodies = [HOSTILE, b"\xff\x00\xfe", b"", TURNED, b"[" * 5000, b'{"a":1e999,"b":NaN,"c":1}']
    few.store.put_device(HUBS[0], *_device(HOSTILE))
    for body in bodies:
        _send(few.store, HOSTILE, body if isinstance(body, bytes) else body.encode())
    (device,) = few.get("devices")["devices"]
    assert device["id"] == HOSTILE
    told = few.get("messages", hub=HUBS[0], device=HOSTILE)["messages"]
    assert [one["device"] for one in told] == [HOSTILE] * len(bodies)
    shown = [one["body"] for one in reversed(told)]
    assert shown[:4] == [HOSTILE, "\ufffd" * 3, "", TURNED.replace("\u202e", "\ufffd")]
    assert shown[4] == "[" * EXCERPT + "…"
    assert [one["numbers"] for one in told] == [{"c": 1}, {}, {}, {}, {}, {}]


def test_large_body_is_neither_sent_nor_looked_into(few):
    few.store.put_device(HUBS[0], *_device("d"))
    _send(few.store, "d", b'{"a": 1, "b": "' + b"\xc3\xa4" * BODY + b'"}')
    (message,) = few.get("messages")["messages"]
    assert (message["size"], message["numbers"]) == (2 * BODY + 17, {})
    assert message["body"] == '{"a": 1, "b": "' + "ä" * (EXCERPT - 15) + "…"
    assert few.get("devices")["devices"][0]["last"]["body"] == message["body"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"temperature": 21.5, "on": true, "name": "x", "none": null}', {"temperature": 21.5}),
        (b'{"a": {"b": {"c": 1, "d": {"e": 2}}}, "n": -3}', {"a.b.c": 1, "n": -3}),
        (b"17", {"value": 17}),
        (b"[1, 2]", {}),
        (b'{"": 1}', {"value": 1}),
        (b'{"__proto__": 1}', {"__proto__": 1}),
        (b'{"a": 1' + b"0" * 400 + b"}", {}),
        (b'{"a": 1' + b"0" * 5000 + b"}", {}),
        (b'{"a": Infinity, "b": -Infinity, "c": NaN}', {}),
        (b'{"a": 1', {}),
        (b"\xff\xfe", {}),
        (b"", {}),
        (b'{"a":' * 100_000, {}),
        (json.dumps({f"n{i}": i for i in range(50)}), {f"n{i}": i for i in range(FIELDS)}),
        (json.dumps({"x" * 500: 1}), {"x" * EXCERPT + "…": 1}),
    ],
)
def test_numbers_of_a_body(body, expected):
    assert numbers(body if isinstance(body, bytes) else body.encode()) == expected


@pytest.mark.parametrize(
    ("service", "method", "status", "error", "key"),
    [
        ("dps", "PUT", 401, "401002 Unauthorized", 401002),
        ("hub", "POST", 401, "401002 Unauthorized", "IotHubUnauthorizedAccess"),
        ("hub", "POST", 401, "401003 Unauthorized", 401),
        ("hub", "POST", 403, "403012 The device is disabled", 403),
        ("hub", "POST", 429, "429001 Throttling: too many messages", 429),
        ("dps", "GET", 404, "404201 Operation not found.", 404201),
        ("dps", "PUT", 503, "503001 A fault on request.", 500),
        ("hub", "CONNECT", 401, "401002 Unauthorized", "connack"),
        ("hub", "", 0, "no certificate: closed", "late-certificate"),
        ("dps", "PUT", 400, "x", 400),
        ("dps", "PUT", 412, "412001 Precondition failed.", 412),
    ],
)
def test_error_is_explained_by_the_devices_own_table(service, method, status, error, key):
    happened, check = advice.lookup(key)
    told = explanation(service, method, status, error)
    assert told == {"happened": happened, "check": check}


@pytest.mark.parametrize(
    ("method", "status", "error"), [("PUT", 202, ""), ("CLOSE", 0, "no packet in time")]
)
def test_nothing_to_explain(method, status, error):
    assert explanation("hub", method, status, error) is None


def test_requests_come_newest_first_with_their_explanation(few):
    few.store.add_requests(
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


def test_overview_counts_and_its_mark_tells_of_changes(few):
    first = few.get("overview")
    assert first["idScope"] == few.store.id_scope
    assert first["hubs"] == list(HUBS)
    assert (first["devices"], first["messages"], first["requests"]) == (0, 0, 0)
    assert first["enrollments"] == {"group": 0, "individual": 0}
    assert few.get("overview") == first
    few.store.put_device(HUBS[0], *_device("d"))
    few.store.put_enrollment("group", *_enrollment("g", group=True), ["A"])
    _send(few.store, "d", b"1", b"2")
    second = few.get("overview")
    assert (second["devices"], second["messages"]) == (1, 2)
    assert second["enrollments"] == {"group": 1, "individual": 0}
    assert second["mark"] != first["mark"]
    assert second["instance"] == first["instance"]


def test_mark_tells_of_the_simulators_own_changes(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        before = store.totals()["mark"]
        assert store.totals()["mark"] == before
        store.add_message(HUBS[0], "d", {}, b"")
        assert store.totals()["mark"] != before


def test_rate_counts_messages_in_steps_of_time(few):
    _send(few.store, "d", *[b"x"] * 20, ago_s=10)
    answer = few.get("rate")
    assert answer["stepS"] == 2
    assert len(answer["steps"]) == 150
    assert sum(step["count"] for step in answer["steps"]) == 20
    assert max(step["count"] for step in answer["steps"]) == 2
    last = answer["steps"][-4]["at"]
    newer = few.get("rate", after=last)["steps"]
    assert newer[:3] == answer["steps"][-3:]


def test_answer_that_is_known_does_not_come_again(many):
    status, headers, _ = raw(many, "GET", "/api/devices")
    assert status == 200
    again = raw(many, "GET", "/api/devices", **{"If-None-Match": headers["etag"]})
    assert again[::2] == (304, b"")
    assert raw(many, "GET", "/api/devices", **{"If-None-Match": '"x"'})[0] == 200


def test_queries_use_indexes(many):
    """No query reads all messages or requests, none sorts; devices are counted by an index."""
    store, asked = many.store, []
    store._db.set_trace_callback(asked.append)
    store.totals()
    for search in ("", "09999"):
        store.find_devices(search, ("bench-05000", HUBS[0]), 20)
        store.find_enrollments(search, ("individual", "bench-05000"), 20)
    store.last_messages((HUBS[0], "bench-00000"), 5, 300, BODY)
    store.last_messages(None, 5, 8, BODY)
    store.messages_of(HUBS[0], "bench-00000", 7)
    _send(store, "bench-00000", b"1")
    store.messages_before(time.time())
    store.last_requests(0, 50, False)
    store.last_requests(10, 50, True)
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


# ---- The page in Chromium ----


@pytest.fixture(scope="module")
def chromium():
    """One for all tests of this file."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        why = "there is no chromium, or no chromedriver"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--force-prefers-reduced-motion",
    ):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,800")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


class Browser:
    """A look at the page, as its user has it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, served: Served) -> None:
        self.driver.get_log("browser")
        self.driver.get(served.url)
        self.wait(lambda: self.text("#live") == "live")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def wait(self, condition, timeout_s: float = 10):
        return WebDriverWait(self.driver, timeout_s, 0.05).until(lambda _: condition())

    def script(self, code: str, *given):
        return self.driver.execute_script(code, *given)

    def text(self, selector: str) -> str | None:
        return self.script("return document.querySelector(arguments[0])?.textContent", selector)

    def texts(self, selector: str) -> list[str]:
        code = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        return self.script(code, selector)

    def count(self, selector: str) -> int:
        return self.script("return document.querySelectorAll(arguments[0]).length", selector)

    def visible(self, selector: str) -> bool:
        return self.driver.find_element(By.CSS_SELECTOR, selector).is_displayed()

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self) -> str:
        """What the focus is on: its ID, or its name and text."""
        return self.script(
            "const e = document.activeElement; return e.id || `${e.tagName} ${e.textContent}`"
        )

    @property
    def errors(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]

    def screenshot(self, folder: Path, name: str, width: int, height: int) -> None:
        """Keep what is seen, and see that it is not blank."""
        folder = Path(os.environ.get("MICRODPS_SCREENSHOTS", folder))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(self.driver.get_screenshot_as_png())
        assert_picture(path.read_bytes(), width, height)


def assert_picture(png: bytes, width: int, height: int) -> None:
    """A PNG of that size with something on it."""
    assert png[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (width, height)
    at, data = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    assert len(set(zlib.decompress(data))) > 100  # bytes: a blank page has two or three


@pytest.fixture
def browser(chromium):
    browser = Browser(chromium)
    browser.size(1280, 800)
    yield browser
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get("about:blank")


ROW = "#devices-table tbody tr"


def weather(i: int) -> dict:
    return {
        "temperature": round(21 + 3 * ((i * 7) % 13) / 13 + i / 30, 2),
        "humidity": 48 - (i * 5) % 11,
        "battery": {"voltage": round(3.9 - i / 400, 3)},
    }


@pytest.fixture
def lively(few):
    """A simulator as it looks after a while."""
    store = few.store
    names = [f"greenhouse-{i:02}" for i in range(1, 15)]
    for at, name in enumerate(names):
        store.put_device(HUBS[at % 2], *_device(name, "disabled" if at == 6 else "enabled"))
    store.put_device(HUBS[0], *_device("thermometer-7", registration_id="device-01"))
    for ago in range(240, 0, -12):
        for at, name in enumerate(names[: 3 + ago % 9]):
            _send(store, name, weather(ago + at), hub=HUBS[at % 2], ago_s=50 + ago + at / 20)
    _send(store, names[0], *(weather(i) for i in range(45)))
    store.put_enrollment("group", *_enrollment("greenhouse", group=True), ["A"])
    name, record = _enrollment("device-01")
    store.put_enrollment("individual", name, record | {"deviceId": "thermometer-7"}, ["B"])
    path = f"/{store.id_scope}/registrations/greenhouse-0"
    store.add_requests(
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


def test_page_shows_what_there_is(browser, lively, tmp_path):
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15)
    assert browser.text("#total-devices") == "15"
    assert browser.text("#id-scope") == lively.store.id_scope
    first = browser.texts(f"{ROW}:first-child td > *")
    assert first[:2] == ["greenhouse-01", f"{HUBS[0]} · greenhouse-01"]
    assert first[3] == json.dumps(weather(44))
    assert browser.texts(f"{ROW}:nth-child(7) .tag") == ["disabled"]
    assert browser.texts("#enrollments-table tbody strong") == ["greenhouse", "device-01"]
    rows = browser.texts("#requests-table tbody tr")
    assert len(rows) == 7
    assert "POST /devices/greenhouse-01/messages/events" in rows[0]
    told = browser.texts("#requests-table tbody tr:nth-child(5) td")
    assert told[1:4:2] == ["dps", "401"]
    assert advice.lookup(401002)[1] in told[4]
    browser.wait(lambda: browser.count("#chart polyline") == 1)
    assert "messages per second" in browser.script("return chart.getAttribute('aria-label')")
    browser.driver.find_element(By.CSS_SELECTOR, f"{ROW}:first-child").click()
    browser.wait(lambda: browser.count("#chart polyline") == 3)
    browser.screenshot(tmp_path, "page-1280.png", 1280, 800)
    browser.script("enrollments.scrollIntoView()")
    browser.screenshot(tmp_path, "page-1280-requests.png", 1280, 800)
    assert browser.errors == []


def test_page_fits_a_narrow_screen_in_light_and_dark(browser, lively, tmp_path):
    browser.size(400, 800)
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15 and browser.count("#chart polyline") == 1)
    browser.driver.find_element(By.CSS_SELECTOR, f"{ROW}:first-child").click()
    browser.wait(lambda: browser.count("#chart polyline") == 3)
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        back = browser.script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, back[4:-1].split(","))) < 300) == (scheme == "dark")
        assert browser.script("return document.documentElement.scrollWidth") == 400
        for part in ("telemetry", "devices", "enrollments"):
            browser.script(f"{part}.scrollIntoView()")
            browser.screenshot(tmp_path, f"page-400-{scheme}-{part}.png", 400, 800)
    browser.size(1280, 800)
    browser.script("scrollTo(0, 0)")
    browser.screenshot(tmp_path, "page-1280-dark.png", 1280, 800)
    assert browser.errors == []


def test_page_updates_itself(browser, few):
    browser.open(few)
    assert browser.visible("#devices-empty") and browser.visible("#requests-empty")
    few.store.put_device(HUBS[0], *_device("d"))
    browser.wait(lambda: browser.text(f"{ROW} strong") == "d")
    assert not browser.visible("#devices-empty")
    browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
    for count in (1, 2):
        _send(few.store, "d", {"temperature": 20 + count})
        browser.wait(lambda count=count: browser.text(f"{ROW} .number") == str(count))
        browser.wait(lambda count=count: browser.count("#chart circle") == count)
        assert browser.text("#legend b") == str(20 + count)
    assert browser.text("#total-messages") == "2"
    few.store.add_requests([("dps", "PUT", "/new", 404, (), "404201 No enrollment")])
    few.store.put_enrollment("group", *_enrollment("g", group=True), ["A"])
    few.store.delete_device(HUBS[0], "d")
    browser.wait(lambda: "PUT /new" in (browser.text("#requests-table tbody tr") or ""))
    browser.wait(lambda: browser.text("#enrollments-table tbody strong") == "g")
    browser.wait(lambda: browser.count(ROW) == 0)
    assert browser.errors == []


def test_only_what_is_new_is_asked_for(browser, few):
    few.store.put_device(HUBS[0], *_device("d"))
    _send(few.store, "d", {"a": 1})
    browser.open(few)
    browser.wait(lambda: browser.count(ROW) == 1)
    calls = "return performance.getEntriesByType('resource').map(e => e.name).filter("
    calls += "name => name.includes('/api/'))"
    browser.script("performance.clearResourceTimings()")
    browser.wait(lambda: sum("overview" in call for call in browser.script(calls)) >= 2)
    assert {call.partition("?")[0].rpartition("/")[2] for call in browser.script(calls)} == {
        "overview",
        "rate",
    }
    _send(few.store, "d", {"a": 2})
    browser.wait(lambda: browser.text(f"{ROW} .number") == "2")
    (asked,) = (call for call in browser.script(calls) if "/messages" in call)
    assert "after=1&" in asked


def test_hidden_page_asks_nothing(browser, few):
    browser.open(few)
    asked = "return performance.getEntriesByType('resource').length"
    hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    browser.script(hide, True)
    browser.wait(lambda: browser.text("#live") == "paused")
    code = f"const done = arguments[0]; const n = () => {{ {asked} }};"
    code += "setTimeout(() => { const k = n(); setTimeout(() => done(n() - k), 1200) }, 200)"
    assert browser.driver.execute_async_script(code) == 0
    few.store.put_device(HUBS[0], *_device("d"))
    browser.script(hide, False)
    browser.wait(lambda: browser.text(f"{ROW} strong") == "d")
    assert browser.text("#live") == "live"


def test_keyboard_reaches_everything_and_walks_the_devices(browser, lively):
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15)
    reached = []
    for _ in range(9):
        browser.press(Keys.TAB)
        reached.append(browser.focus())
        style = "const s = getComputedStyle(document.activeElement); return s.outlineStyle"
        assert browser.script(style) not in ("none", ""), reached
    assert reached[:5] == [
        "A Skip to the devices",
        *("A Devices", "A Enrollments", "A Requests", "devices-search"),
    ]
    assert reached[5].startswith("TR greenhouse-01")
    assert reached[6].startswith("BUTTON messages per second")
    assert reached[7:] == ["enrollments-search", "requests-errors"]
    back = webdriver.ActionChains(browser.driver).key_down(Keys.SHIFT)
    back.send_keys(Keys.TAB * 3).key_up(Keys.SHIFT).perform()
    assert browser.focus().startswith("TR greenhouse-01")
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.count("#chart polyline") == 3)
    assert browser.text("#telemetry-title") == "greenhouse-01"
    assert "temperature: last" in browser.script("return chart.getAttribute('aria-label')")
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ARROW_DOWN)
    assert browser.text("#telemetry-title") == "greenhouse-03"
    assert browser.focus().startswith("TR greenhouse-03")
    chosen = f"{ROW}[aria-selected=true] strong"
    assert browser.texts(chosen) == ["greenhouse-03"]
    assert browser.text("#spoken") == "Telemetry of greenhouse-03"
    browser.press(Keys.END)
    assert browser.texts(chosen) == ["thermometer-7"]
    browser.press(Keys.ARROW_DOWN, Keys.HOME, Keys.ARROW_UP)
    assert browser.texts(chosen) == ["greenhouse-01"]
    browser.press(Keys.ESCAPE)
    assert browser.text("#telemetry-title") == "All devices"
    browser.press(Keys.SPACE)
    assert browser.texts(chosen) == ["greenhouse-01"]
    # It stays where it is when there is news.
    _send(lively.store, "greenhouse-01", weather(46))
    browser.wait(lambda: json.dumps(weather(46)) in browser.text(f"{ROW} code"))
    assert browser.focus().startswith("TR greenhouse-01")
    browser.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait(lambda: browser.count("#chart polyline") == 2)
    assert browser.errors == []


def test_ten_thousand_devices(browser, many):
    browser.open(many)
    browser.wait(lambda: browser.count(ROW) == 20)
    assert browser.text("#devices-pager span") == "1–20 of 10,000"
    assert browser.count("tr") < 100
    assert browser.count("*") < 1500
    _, back, after = browser.driver.find_elements(By.CSS_SELECTOR, "#devices-pager button")
    after.click()
    browser.wait(lambda: browser.text(f"{ROW} strong") == "bench-00020")
    after.click()
    browser.wait(lambda: browser.text(f"{ROW} strong") == "bench-00040")
    back.click()
    browser.wait(lambda: browser.text(f"{ROW} strong") == "bench-00020")
    assert browser.text("#devices-pager span") == "21–40 of 10,000"
    browser.driver.find_element(By.ID, "devices-search").send_keys("9999")
    browser.wait(lambda: browser.texts(f"{ROW} strong") == ["bench-09999"])
    assert browser.count("tr") < 100
    browser.driver.find_element(By.ID, "devices-search").send_keys("x")
    browser.wait(lambda: browser.text("#devices-empty") == "No devices match.")
    browser.driver.find_element(By.ID, "devices-search").clear()
    assert browser.errors == []


def test_what_devices_choose_is_text(browser, few):
    few.store.put_device(HUBS[0], *_device(HOSTILE))
    _send(few.store, HOSTILE, {HOSTILE: 1, "__proto__": 2, "constructor": 3}, HOSTILE.encode())
    few.store.add_requests([("hub", "GET", f"/{HOSTILE}", 404, (), f"404000 {HOSTILE}")])
    few.store.put_enrollment("individual", *_enrollment(HOSTILE), ["A"])
    browser.open(few)
    browser.wait(lambda: browser.text(f"{ROW} strong") == HOSTILE)
    browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
    browser.wait(lambda: browser.count("#legend button") == 3)
    assert browser.text("#telemetry-title") == HOSTILE
    assert browser.texts("#legend .name") == [HOSTILE, "__proto__", "constructor"]
    assert browser.text(f"{ROW} code") == HOSTILE
    assert HOSTILE in browser.text("#requests-table tbody code")
    assert browser.text("#enrollments-table tbody strong") == HOSTILE
    assert browser.count("main img") == browser.count("main script") == 0
    assert browser.driver.title == "microdps simulator"
    assert browser.errors == []


def test_numbers_of_any_size_are_drawn(browser, few):
    few.store.put_device(HUBS[0], *_device("d"))
    _send(few.store, "d", {"a": -1.7e308, "b": 1e-300}, {"a": 1.7e308, "b": 1e-300}, {"c": 0})
    browser.open(few)
    browser.wait(lambda: browser.count(ROW) == 1)
    browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
    browser.wait(lambda: browser.count("#chart polyline") == 3)
    drawn = browser.script("return chart.innerHTML")
    assert "NaN" not in drawn and "Infinity" not in drawn
    assert browser.errors == []


def test_simulator_that_is_lost_and_back(browser, tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        store.put_device(HUBS[0], *_device("d"))
        with servers() as serve:
            port = serve(tmp_path)
            browser.open(Served(port, store))
            browser.wait(lambda: browser.count(ROW) == 1)
        browser.wait(lambda: browser.text("#live") == "not reachable")
        assert browser.visible("#trouble")
        assert "cannot be reached" in browser.text("#trouble")
        assert browser.count(ROW) == 1
        store.put_device(HUBS[0], *_device("e"))
        with servers() as serve:
            serve(tmp_path, port)
            browser.wait(lambda: browser.text("#live") == "live")
            assert not browser.visible("#trouble")
            browser.wait(lambda: browser.texts(f"{ROW} strong") == ["d", "e"])
            assert browser.text("#spoken") == "The simulator is reachable again."


def test_real_simulator_shows_what_a_device_does(browser, simulator):
    simulator.device("page-01")
    device = Device(simulator, "page-01", simulator.folder / "devices" / "page-01")
    with contextlib.closing(Store(simulator.state)) as store:
        real = Served(int(simulator.page.rstrip("/").rpartition(":")[2]), store)
        browser.open(real)
        browser.driver.find_element(By.ID, "devices-search").send_keys("page-01")
        device.provision()
        browser.wait(lambda: browser.texts(f"{ROW} strong") == ["page-01"])
        browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
        assert device.send().status_code == 204
        browser.wait(lambda: browser.text("#legend b") == "30")
        assert device.send("page-02").status_code == 401
        told = advice.lookup("IotHubUnauthorizedAccess")[1]
        browser.wait(lambda: told in browser.text("#requests-table tbody tr"))
        assert raw(real, "GET", "/admin/faults")[0] == 200
        assert raw(real, "GET", "/api/devices", Host="example.com")[0] == 403
        assert browser.errors == []
