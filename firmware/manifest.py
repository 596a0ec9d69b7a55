"""Freezes the package in a build of MicroPython for the ESP32: make BOARD=ESP32_GENERIC
FROZEN_MANIFEST=/path/to/this/file. app.py, boot.py and main.py stay files.

Source: MicroPython, docs/reference/manifest.rst.
"""
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

metadata(description="Azure IoT Hub by DPS and X.509", version="0.1.0")

include("$(PORT_DIR)/boards/manifest.py")

# All but cpython.py, which is for computers.
package(
    "microdps",
    files=(
        "__init__.py",
        "advice.py",
        "aio.py",
        "backoff.py",
        "board.py",
        "certificate.py",
        "client.py",
        "config.py",
        "device.py",
        "dps.py",
        "errors.py",
        "failure.py",
        "http.py",
        "hub.py",
        "identity.py",
        "journal.py",
        "link.py",
        "mqtt.py",
        "program.py",
        "properties.py",
        "rollover.py",
        "service.py",
        "state.py",
        "status.py",
        "transport.py",
        "url.py",
    ),
    base_path=".",
    opt=2,
)
