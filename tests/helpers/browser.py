"""The simulator's page in headless Chromium.

The environment variable MICRODPS_SCREENSHOTS can name a folder for the screenshots.
"""

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from helpers.pages import Served

# The rows of the table of devices.
ROW = "#devices-table tbody tr"

# Chromium, and the program that drives it.
PROGRAMS = ("chromium", "chromedriver")


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A headless Chromium, which ends with the with statement. PROGRAMS must be there."""
    browser, driver = map(shutil.which, PROGRAMS)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--force-prefers-reduced-motion",
        "--disable-lcd-text",  # letters with grey edges, for pictures with few colours
        "--window-size=1280,800",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()


class Browser:
    """The page, as its user sees it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, served: Served) -> None:
        self.open_url(served.url)

    def open_url(self, url: str) -> None:
        self.driver.get_log("browser")
        self.driver.get(url)
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
        """The element with the focus: its ID, or its name and text."""
        return self.script(
            "const e = document.activeElement; return e.id || `${e.tagName} ${e.textContent}`"
        )

    @property
    def errors(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]

    def screenshot(self, folder: Path, name: str, width: int, height: int) -> None:
        """Write a screenshot, and check that it is not blank."""
        folder = Path(os.environ.get("MICRODPS_SCREENSHOTS", folder))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(self.driver.get_screenshot_as_png())
        assert_picture(path.read_bytes(), width, height)


def assert_picture(png: bytes, width: int, height: int) -> None:
    """Check a PNG: its size, and that it is not blank."""
    assert png[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (width, height)
    at, data = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    assert len(set(zlib.decompress(data))) > 100  # bytes: a blank page has two or three
