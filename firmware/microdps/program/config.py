"""The device's configuration, config.json: the only definition of its keys.

id_scope         of the DPS instance, "0ne…"
registration_id  the common name of the device's certificate
host             of DPS; default below
wifi             {"ssid": …, "password": …}; without it no Wi-Fi is joined. The password is "" for
                 an open network, or 8 to 63 printable ASCII characters, or 64 hex digits
interval_s       seconds between two messages; default 60
messages         number of messages after which the program ends; 0, the default: never
transport        how messages go to the hub: "https"; "mqtt"; "auto", the default: HTTPS, and MQTT
                 for a hub that asks for the certificate late
outbox           which readings are kept on flash until the hub has accepted them: "always";
                 "on-failure": those that could not be sent; "never", the default
outbox_kb        the most that they may have there together, in units of 1024 bytes; default 64
outbox_keep      where there is no room for a message: "newest", the default: the oldest go;
                 "oldest": the new one is dropped
log              "info": a line for each request; "error": errors only
ntp              host name of the time server; default "pool.ntp.org"
led              GPIO number of an LED, lit while the device works; -1, the default: none
watchdog_s       seconds without a step after which the board is reset; 0: never; default 120
"""

import json

from micropython import const

from microdps.errors import Error
from microdps.protocol.url import TOKEN, split_host

# key: (types, default). A default of None: the key must be there.
KEYS: dict = {
    "id_scope": ((str,), None),
    "registration_id": ((str,), None),
    "host": ((str,), "global.azure-devices-provisioning.net"),
    "wifi": ((dict,), {}),
    "interval_s": ((int, float), 60),
    "messages": ((int,), 0),
    "transport": ((str,), "auto"),
    "outbox": ((str,), "never"),
    "outbox_kb": ((int,), 64),
    "outbox_keep": ((str,), "newest"),
    "log": ((str,), "info"),
    "ntp": ((str,), "pool.ntp.org"),
    "led": ((int,), -1),
    "watchdog_s": ((int,), 120),
}
# Where the configuration is without a file, and the most bytes that it has.
NVS = "nvs:microdps/config"
_LIMIT = const(4096)

# The values of the keys that have a choice.
CHOICES = {
    "log": ("info", "error"),
    "transport": ("auto", "https", "mqtt"),
    "outbox": ("always", "on-failure", "never"),
    "outbox_keep": ("newest", "oldest"),
}


class ConfigError(Error):
    """A key of config.json is missing or wrong. Nothing was changed or sent."""


def load(path: str = "config.json", log=None) -> dict:
    """Read and check the configuration, of the file, else the blob "config" of the ESP32's
    non-volatile storage → dict with all of KEYS.

    log  takes a line for each unknown key, which is ignored then; None: it is refused

    Raises ConfigError, which names the key, or the file if there is neither.
    """
    try:
        try:
            with open(path) as file:
                given = json.load(file)
        except OSError:
            path, given = _load_nvs(path)
    except ValueError:  # a UnicodeError is one
        raise ConfigError("json", path)
    return check(given, path, log)


def _load_nvs(path: str):
    """Its name, and the configuration. Raises ConfigError if it is not there."""
    from microdps.identity import read_blob

    try:
        blob = read_blob(NVS, _LIMIT)
    except (ImportError, OSError):  # no ESP32, or no such blob
        raise ConfigError("missing", path)
    try:
        return NVS, json.loads(blob or b"")
    except ValueError:
        raise ConfigError("json", NVS)


def check(given: dict, path: str = "config.json", log=None) -> dict:
    """Check a configuration → a dict with all of KEYS, defaults filled in. Raises ConfigError.

    log  as for load()
    """
    if not isinstance(given, dict):
        raise ConfigError("json", path)
    config = {}
    for key, (types, default) in KEYS.items():
        value = given.get(key, default)
        if value is None:
            raise ConfigError("missing-key", "%s: %s" % (path, key))
        # A bool is an int, and no number of anything here.
        if not isinstance(value, types) or isinstance(value, bool):
            raise ConfigError("type", "%s: %s" % (path, key))
        if not _valid(key, value):
            raise ConfigError("value", "%s: %s" % (path, key))
        config[key] = value
    if not config["interval_s"] and not config["messages"]:  # for ever, without a pause
        raise ConfigError("value", "%s: interval_s" % path)
    for key in given:
        if key not in KEYS:
            error = ConfigError("unknown-key", "%s: %s" % (path, key))
            if not log:
                raise error
            log("ignored: %s" % error)
    return config


def _valid(key: str, value) -> bool:
    if key == "registration_id":
        return valid_registration_id(value)
    if key == "id_scope":
        return bool(value) and _made_of(value, b"")
    if key in ("host", "ntp"):
        try:
            split_host(value)
        except ValueError:
            return False
        return key == "host" or ":" not in value
    if key == "wifi":
        return not value or valid_wifi(value)
    if key in CHOICES:
        return value in CHOICES[key]
    if key == "outbox_kb":
        return 4 <= value <= 1024
    if key == "watchdog_s":
        return value == 0 or 60 <= value <= 3600  # a request may take 30 s
    if key == "led":
        return -1 <= value <= 100
    return 0 <= value < 2**30


def valid_wifi(wifi: dict) -> bool:
    """An SSID of 1 to 32 bytes, and a password as WPA2 has it (IEEE 802.11, annex J.4)."""
    if set(wifi) != {"ssid", "password"}:
        return False
    for value in wifi.values():
        if not isinstance(value, str):
            return False
    password = wifi["password"]
    if not 1 <= len(wifi["ssid"].encode()) <= 32:
        return False
    if len(password) == 64:
        return not password.lower().encode().strip(b"0123456789abcdef")
    printable = all(32 <= byte < 127 for byte in password.encode("utf-8", "replace"))
    return not password or (8 <= len(password) <= 63 and printable)


def valid_registration_id(text: str) -> bool:
    """1 to 128 of A-Z a-z 0-9 - . _ : and the last a letter, a digit or a dash (DPS, concepts)."""
    return 1 <= len(text) <= 128 and text[-1] not in "._:" and _made_of(text, b"-._:")


def _made_of(text: str, others: bytes) -> bool:
    """True if the text consists of ASCII letters, digits and the other characters."""
    return not text.encode("utf-8", "replace").strip(TOKEN[1:63] + others)
