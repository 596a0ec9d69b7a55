"""The page in headless Chromium."""

import contextlib
import json

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import page_picture
from helpers.browser import ROW
from helpers.by_hand import Device
from helpers.pages import (
    HUBS,
    Served,
    device_record,
    enrollment_record,
    raw,
    send,
    servers,
    weather,
)
from microdps import advice
from microdps_tools.simulator.store.store import Store

HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"


def test_page_shows_all_parts(browser, lively, tmp_path):
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
    cells = browser.texts("#requests-table tbody tr:nth-child(5) td")
    assert cells[1:4:2] == ["dps", "401"]
    assert advice.lookup(401002)[1] in cells[4]
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
    few.store.devices.put(HUBS[0], *device_record("d"))
    browser.wait(lambda: browser.text(f"{ROW} strong") == "d")
    assert not browser.visible("#devices-empty")
    browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
    for count in (1, 2):
        send(few.store, "d", {"temperature": 20 + count})
        browser.wait(lambda count=count: browser.text(f"{ROW} .number") == str(count))
        browser.wait(lambda count=count: browser.count("#chart circle") == count)
        assert browser.text("#legend b") == str(20 + count)
    assert browser.text("#total-messages") == "2"
    few.store.requests.add([("dps", "PUT", "/new", 404, (), "404201 No enrollment")])
    few.store.enrollments.put("group", *enrollment_record("g", group=True), ["A"])
    few.store.devices.delete(HUBS[0], "d")
    browser.wait(lambda: "PUT /new" in (browser.text("#requests-table tbody tr") or ""))
    browser.wait(lambda: browser.text("#enrollments-table tbody strong") == "g")
    browser.wait(lambda: browser.count(ROW) == 0)
    assert browser.errors == []


def test_only_new_data_is_loaded(browser, few):
    few.store.devices.put(HUBS[0], *device_record("d"))
    send(few.store, "d", {"a": 1})
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
    send(few.store, "d", {"a": 2})
    browser.wait(lambda: browser.text(f"{ROW} .number") == "2")
    (asked,) = (call for call in browser.script(calls) if "/messages" in call)
    assert "after=1&" in asked


def test_hidden_page_makes_no_calls(browser, few):
    browser.open(few)
    asked = "return performance.getEntriesByType('resource').length"
    hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    browser.script(hide, True)
    browser.wait(lambda: browser.text("#live") == "paused")
    code = f"const done = arguments[0]; const n = () => {{ {asked} }};"
    code += "setTimeout(() => { const k = n(); setTimeout(() => done(n() - k), 1200) }, 200)"
    assert browser.driver.execute_async_script(code) == 0
    few.store.devices.put(HUBS[0], *device_record("d"))
    browser.script(hide, False)
    browser.wait(lambda: browser.text(f"{ROW} strong") == "d")
    assert browser.text("#live") == "live"


def test_keyboard_reaches_everything(browser, lively):
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15)
    reached = []
    for _ in range(19):
        browser.press(Keys.TAB)
        reached.append(browser.focus())
        style = "const s = getComputedStyle(document.activeElement); return s.outlineStyle"
        assert browser.script(style) not in ("none", ""), reached
    assert reached[:5] == [
        "A Skip to the devices",
        *("A Devices", "A Enrollments", "A Requests", "devices-search"),
    ]
    assert reached[5].startswith("TR greenhouse-01")
    assert reached[6] == "devices-sort"
    assert reached[7].startswith("BUTTON messages per second")
    assert all(one.startswith("BUTTON") for one in reached[8:16])  # the last messages
    assert reached[16:18] == ["enrollments-search", "requests-errors"]
    assert reached[18].startswith("SUMMARY Faults")
    back = webdriver.ActionChains(browser.driver).key_down(Keys.SHIFT)
    back.send_keys(Keys.TAB * 13).key_up(Keys.SHIFT).perform()
    assert browser.focus().startswith("TR greenhouse-01")
    assert browser.errors == []


def test_keyboard_moves_through_the_devices(browser, lively):
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15)
    browser.press(*[Keys.TAB] * 6)
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
    # New data does not move the focus.
    send(lively.store, "greenhouse-01", weather(46))
    browser.wait(lambda: json.dumps(weather(46)) in browser.text(f"{ROW} code"))
    assert browser.focus().startswith("TR greenhouse-01")
    browser.press(*[Keys.TAB] * 7, Keys.ENTER)
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


def test_texts_of_devices_are_never_html(browser, few):
    few.store.devices.put(HUBS[0], *device_record(HOSTILE))
    send(few.store, HOSTILE, {HOSTILE: 1, "__proto__": 2, "constructor": 3}, HOSTILE.encode())
    few.store.requests.add([("hub", "GET", f"/{HOSTILE}", 404, (), f"404000 {HOSTILE}")])
    few.store.enrollments.put("individual", *enrollment_record(HOSTILE), ["A"])
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
    few.store.devices.put(HUBS[0], *device_record("d"))
    send(few.store, "d", {"a": -1.7e308, "b": 1e-300}, {"a": 1.7e308, "b": 1e-300}, {"c": 0})
    browser.open(few)
    browser.wait(lambda: browser.count(ROW) == 1)
    browser.driver.find_element(By.CSS_SELECTOR, ROW).click()
    browser.wait(lambda: browser.count("#chart polyline") == 3)
    drawn = browser.script("return chart.innerHTML")
    assert "NaN" not in drawn and "Infinity" not in drawn
    assert browser.errors == []


def test_simulator_is_lost_and_comes_back(browser, tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        store.devices.put(HUBS[0], *device_record("d"))
        with servers() as serve:
            port = serve(tmp_path)
            browser.open(Served(port, store))
            browser.wait(lambda: browser.count(ROW) == 1)
        browser.wait(lambda: browser.text("#live") == "not reachable")
        assert browser.visible("#trouble")
        assert "cannot be reached" in browser.text("#trouble")
        assert browser.count(ROW) == 1
        store.devices.put(HUBS[0], *device_record("e"))
        with servers() as serve:
            serve(tmp_path, port)
            browser.wait(lambda: browser.text("#live") == "live")
            assert not browser.visible("#trouble")
            browser.wait(lambda: browser.texts(f"{ROW} strong") == ["d", "e"])
            assert browser.text("#spoken") == "The simulator is reachable again."


def test_real_simulator_and_a_device(browser, simulator):
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
        check = advice.lookup("IotHubUnauthorizedAccess")[1]
        browser.wait(lambda: check in browser.text("#requests-table tbody tr"))
        assert raw(real, "GET", "/admin/faults")[0] == 200
        assert raw(real, "GET", "/api/devices", Host="example.com")[0] == 403
        assert browser.errors == []


def test_picture_for_the_readme_can_be_made_again(chromium, tmp_path):
    """`make picture`. The fixture skips the test where there is no Chromium."""
    assert page_picture.main(tmp_path / "page.png") == 0
    assert page_picture.FILE.stat().st_size <= page_picture.LIMIT
