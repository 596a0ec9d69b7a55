"""Freezes the package in a build of MicroPython for the ESP32: make BOARD=ESP32_GENERIC
FROZEN_MANIFEST=/path/to/this/file. app.py, boot.py and main.py stay files.

Source: MicroPython, docs/reference/manifest.rst.
"""
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

metadata(description="Azure IoT Hub by DPS and X.509", version="0.2.0")

include("$(PORT_DIR)/boards/manifest.py")

# All but cpython.py, which is for computers.
package(
    "microdps",
    files=(
        "__init__.py",
        "advice.py",
        "aio.py",
        "backoff.py",
        "certificate.py",
        "client.py",
        "device.py",
        "driver/__init__.py",
        "driver/aio.py",
        "driver/connect.py",
        "driver/link.py",
        "driver/link_error.py",
        "errors.py",
        "identity.py",
        "late_certificate.py",
        "memory.py",
        "outbox/__init__.py",
        "outbox/batch.py",
        "outbox/delivery.py",
        "outbox/files.py",
        "outbox/item.py",
        "outbox/naming.py",
        "outbox/window.py",
        "program/__init__.py",
        "program/board.py",
        "program/config.py",
        "program/cycle.py",
        "program/ending.py",
        "program/journal.py",
        "program/led.py",
        "program/quiet.py",
        "program/start.py",
        "program/status.py",
        "program/trial.py",
        "program/trouble.py",
        "program/waiting.py",
        "program/wifi.py",
        "protocol/__init__.py",
        "protocol/answer.py",
        "protocol/bad_body.py",
        "protocol/body.py",
        "protocol/dps.py",
        "protocol/http.py",
        "protocol/hub.py",
        "protocol/mqtt.py",
        "protocol/printable.py",
        "protocol/properties.py",
        "protocol/redirect.py",
        "protocol/registration.py",
        "protocol/response.py",
        "protocol/service_error.py",
        "protocol/url.py",
        "provisioning.py",
        "rollover.py",
        "session.py",
        "state.py",
    ),
    base_path=".",
    opt=2,
)
