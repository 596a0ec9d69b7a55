"""make picture: a picture of the simulator's page, from a running simulator, for the README.

Devices send to the simulator, and one is refused. Then headless Chromium opens the page.
"""

import contextlib
import io
import json
import math
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.by import By

from helpers.browser import ROW, Browser, assert_picture, chromium
from helpers.by_hand import Device
from helpers.simulators import Simulator, enrolled, start_simulator
from microdps_tools import CHECKOUT
from microdps_tools.certs.making import issue

FILE = CHECKOUT / "host_tools" / "simulator" / "page.png"
SIZE = (1280, 1160)
LIMIT = 150_000  # bytes
COLORS = 256

DEVICES = [f"greenhouse-{number:02}" for number in range(1, 7)]
MESSAGES = 40  # of each device


def fill(simulator: Simulator) -> None:
    """Register devices and send their messages. One more device is not enrolled, and refused."""
    devices = [Device(simulator, name, simulator.device(name).parent.parent) for name in DEVICES]
    for device in devices:
        device.provision()
    for number in range(MESSAGES):
        for at, device in enumerate(devices):
            temperature = round(21 + at / 4 + 2 * math.sin(number / 7 + at), 1)
            humidity = round(48 - 5 * math.sin(number / 7 - at))
            data = json.dumps({"temperature": temperature, "humidity": humidity})
            answer = device.send(data=data, headers={"content-type": "application/json"})
            assert answer.status_code == 204, answer.text
    stranger = issue("greenhouse-07", issue("another intermediate", ca=True))
    folder = simulator.write_identity("greenhouse-07", stranger).parent.parent
    assert Device(simulator, "greenhouse-07", folder).register().status_code == 401


def take(page: str) -> bytes:
    """Open the page in Chromium and select the first device → the picture, a PNG."""
    with chromium() as driver:
        browser = Browser(driver)
        browser.size(*SIZE)
        browser.open_url(page)
        browser.wait(lambda: browser.count(ROW) == len(DEVICES))
        row = f"{ROW}:nth-child({len(DEVICES)})"
        driver.find_element(By.CSS_SELECTOR, row).click()
        browser.wait(lambda: browser.count("#chart polyline") == 2)
        return driver.get_screenshot_as_png()


def compress(png: bytes) -> bytes:
    """The same picture in few colours, which take a third of the bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    output = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(output, "PNG", optimize=True)
    return output.getvalue()


def main(file: Path = FILE) -> int:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        at = stack.enter_context(start_simulator(folder, "--no-limits"))
        simulator = enrolled(folder, at)
        fill(simulator)
        picture = take(simulator.page)
    picture = compress(picture)
    assert_picture(picture, *SIZE)
    file.write_bytes(picture)
    print(f"{file}: {len(picture)} bytes")
    return len(picture) > LIMIT


if __name__ == "__main__":
    sys.exit(main())
