"""Constants of certificates that the command line shows. This module loads nothing."""

CA_DAYS = 3650
DEVICE_DAYS = 365
MIN_DAYS = 0.01  # about 14 minutes, 5 of which lie in the past

KEY_NAMES = ("ec-p256", "ec-p384", "rsa-2048", "rsa-4096")

# The environment variable with the pass-phrase of keys.
PASSPHRASE_VARIABLE = "MICRODPS_KEY_PASSPHRASE"  # noqa: S105  the name, not the value

# The column of a CSV file with the registration IDs.
COLUMN = "registration_id"
