"""Azure IoT Hub for MicroPython: register with DPS by X.509 over HTTPS, then send telemetry."""

import sys

# Of the program, and of the host tools that come with it.
__version__ = "0.2.0"

if sys.implementation.name != "micropython":
    import microdps.driver.cpython  # noqa: F401  stands in for the modules that only MicroPython has
