"""The page in headless Chromium: on a phone, whole messages, silent devices, and actions."""

import contextlib
import json

from selenium.webdriver.common.by import By

from helpers.browser import ROW
from helpers.by_hand import Device
from helpers.pages import HUBS, Served, device_record, send
from microdps_tools.simulator.store.store import Store

HOSTILE = "<img src=x onerror=document.title='taken'>"


def test_page_on_a_phone_is_two_screens_at_most(browser, lively):
    browser.size(400, 800)
    browser.open(lively)
    browser.wait(lambda: browser.count(ROW) == 15 and browser.count("#chart polyline") == 1)
    height = "return document.documentElement.scrollHeight"
    assert browser.script(height) <= 1600
    for tab in ("enrollments", "requests"):
        browser.driver.find_element(By.CSS_SELECTOR, f"nav a[href='#{tab}']").click()
        browser.wait(lambda tab=tab: browser.visible(f"#{tab}"))
        assert not browser.visible("#devices")
        assert browser.script(height) <= 1600
        assert browser.script("return document.documentElement.scrollWidth") == 400


def test_message_is_opened_and_stays_open(browser, few):
    few.store.devices.put(HUBS[0], *device_record("d"))
    body = json.dumps({"text": "x" * 900}).encode()
    few.store.messages.add(HUBS[0], "d", {"iothub-messageid": HOSTILE}, body)
    browser.open(few)
    browser.wait(lambda: browser.count("#messages .row") == 1)
    browser.driver.find_element(By.CSS_SELECTOR, "#messages .row").click()
    browser.wait(lambda: browser.text("#messages pre") == body.decode())
    assert browser.texts("#messages dl *") == ["iothub-messageid", HOSTILE]
    send(few.store, "d", b"next")
    browser.wait(lambda: browser.count("#messages .row") == 2)
    assert browser.text("#messages pre") == body.decode()
    browser.driver.find_elements(By.CSS_SELECTOR, "#messages .row")[1].click()
    browser.wait(lambda: browser.count("#messages pre") == 0)
    assert browser.errors == []


def test_most_silent_devices_come_first(browser, few):
    for name, ago_s in (("a", 10), ("b", 500)):
        few.store.devices.put(HUBS[0], *device_record(name))
        send(few.store, name, b"1", b"2", ago_s=ago_s)
    browser.open(few)
    browser.wait(lambda: browser.texts(f"{ROW} strong") == ["a", "b"])
    assert browser.texts(f"{ROW} .bad") == ["silent"]
    browser.driver.find_element(By.ID, "devices-sort").click()
    browser.wait(lambda: browser.texts(f"{ROW} strong") == ["b", "a"])
    assert browser.errors == []


def test_actions_on_a_real_simulator(browser, simulator):
    device = Device(simulator, "acted-01", simulator.device("acted-01").parent.parent)
    device.provision()
    find = browser.driver.find_element
    with contextlib.closing(Store(simulator.state)) as store:
        browser.open(Served(int(simulator.page.rstrip("/").rpartition(":")[2]), store))
        find(By.ID, "devices-search").send_keys("acted-01")
        browser.wait(lambda: browser.texts(f"{ROW} strong") == ["acted-01"])
        assert not browser.visible("#actions")
        find(By.CSS_SELECTOR, ROW).click()
        find(By.ID, "actions-body").send_keys("hello")
        find(By.ID, "actions-properties").send_keys("a=b")
        find(By.CSS_SELECTOR, "#actions-message button").click()
        browser.wait(lambda: "1 waiting" in browser.text("#actions-result"))
        path = "devices/acted-01/messages/devicebound"
        answer = device.send(path=path, method="GET")
        assert (answer.content, answer.headers["iothub-app-a"]) == (b"hello", "b")
        find(By.ID, "actions-status").click()
        browser.wait(lambda: browser.text("#actions-result") == "acted-01 is disabled.")
        assert device.send().status_code == 403
        find(By.ID, "actions-status").click()
        browser.wait(lambda: browser.text("#actions-result") == "acted-01 is enabled.")
        find(By.CSS_SELECTOR, "#faults summary").click()
        find(By.ID, "faults-text").send_keys("hub:nonsense")
        find(By.CSS_SELECTOR, "#faults-add button").click()
        browser.wait(lambda: "is not a fault" in browser.text("#faults-result"))
        find(By.ID, "faults-text").clear()
        find(By.ID, "faults-text").send_keys("hub:status=503,times=1,path=acted-01")
        find(By.CSS_SELECTOR, "#faults-add button").click()
        browser.wait(lambda: browser.text("#faults-count") == "1 switched on")
        assert device.send().status_code == 503
        find(By.ID, "faults-clear").click()
        browser.wait(lambda: browser.text("#faults-count") == "none")
        assert simulator.admin("GET", "faults") == []
