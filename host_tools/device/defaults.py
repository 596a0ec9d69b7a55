"""Constants of devices that the command line shows. This module loads nothing."""

# The environment variable with the Wi-Fi password.
WIFI_PASSWORD_VARIABLE = "MICRODPS_WIFI_PASSWORD"  # noqa: S105  the name, not the value
