"""Azure IoT Hub for MicroPython: register with DPS by X.509 over HTTPS, then send telemetry."""

import sys

if sys.implementation.name != "micropython":
    import microdps.driver.cpython  # noqa: F401  stands in for the modules that only MicroPython has
