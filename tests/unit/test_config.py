"""config.json: every broken one says which key and why."""

import os

from harness import raised
from microdps.program import config
from microdps.program.config import ConfigError
from test_identity_nvs import on_a_board

LEAST = {"id_scope": "0ne00111111", "registration_id": "device-01"}
FILE = "config-under-test.json"


def changed(key, value):
    given = dict(LEAST)
    given[key] = value
    return given


def load(text):
    with open(FILE, "wb") as file:
        file.write(text)
    try:
        return config.load(FILE)
    finally:
        os.remove(FILE)


def test_defaults():
    assert load(b'{"id_scope": "0ne00111111", "registration_id": "device-01"}') == {
        "id_scope": "0ne00111111",
        "registration_id": "device-01",
        "host": "global.azure-devices-provisioning.net",
        "wifi": {},
        "interval_s": 60,
        "messages": 0,
        "transport": "auto",
        "log": "info",
        "ntp": "pool.ntp.org",
        "led": -1,
        "watchdog_s": 120,
    }


def test_all_keys():
    given = dict(
        LEAST,
        host="localhost:8443",
        wifi={"ssid": "home", "password": "secret"},
        interval_s=0.5,
        messages=10,
        transport="mqtt",
        log="error",
        ntp="time.example",
        led=2,
        watchdog_s=0,
    )
    assert config.check(given) == given


def test_no_file():
    error = raised(config.load, "not-there.json")
    assert isinstance(error, ConfigError)
    assert error.args == ("missing", "not-there.json")


def test_no_json():
    for text in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"{'id_scope': 1}"):
        error = raised(load, text)
        assert isinstance(error, ConfigError), text
        assert error.args[1].startswith(FILE), text


def test_each_wrong_value_names_its_key():
    for key, value, why in (
        ("id_scope", None, "missing-key"),
        ("registration_id", None, "missing-key"),
        ("id_scope", 5, "type"),
        ("id_scope", "", "value"),
        ("id_scope", "0ne 1", "value"),
        ("id_scope", "0ne/1", "value"),
        ("id_scope", "0n\u00e9", "value"),
        ("registration_id", "", "value"),
        ("registration_id", "x" * 129, "value"),
        ("registration_id", "device.", "value"),
        ("registration_id", "device_", "value"),
        ("registration_id", "de vice", "value"),
        ("registration_id", "d\u00e9vice", "value"),
        ("host", "https://x", "value"),
        ("host", "", "value"),
        ("host", "x:99999", "value"),
        ("wifi", "home", "type"),
        ("wifi", {"ssid": "home"}, "value"),
        ("wifi", {"ssid": "home", "password": 5}, "value"),
        ("wifi", {"ssid": "home", "password": "", "x": ""}, "value"),
        ("interval_s", "60", "type"),
        ("interval_s", True, "type"),
        ("interval_s", -1, "value"),
        ("interval_s", 1e12, "value"),
        ("messages", 1.5, "type"),
        ("messages", -1, "value"),
        ("log", "loud", "value"),
        ("led", -2, "value"),
        ("led", "2", "type"),
        ("watchdog_s", 5, "value"),
        ("watchdog_s", 59, "value"),
        ("watchdog_s", 3601, "value"),
        ("watchdog_s", 90.5, "type"),
        ("interval_s", 2**30, "value"),
        ("messages", 2**30, "value"),
        ("led", 101, "value"),
        ("ntp", "", "value"),
        ("ntp", "time.example:123", "value"),
        ("wi-fi", {}, "unknown-key"),
    ):
        error = raised(config.check, changed(key, value), "c")
        assert isinstance(error, ConfigError), key
        assert error.args == (why, "c: " + key), (key, value, error.args)
        assert key in str(error)


def load_nvs(blob):
    """The configuration of a board that has no file → its dict."""
    return on_a_board({"config": blob}, config.load, "no-such-file.json")


def test_configuration_in_nvs():
    text = b'{"id_scope": "0ne00111111", "registration_id": "device-01"}'
    assert load_nvs(text)["registration_id"] == "device-01"
    assert load_nvs(text + b" " * 2000)["registration_id"] == "device-01"
    for blob, why in (
        (b"{", ("json", "nvs:microdps/config")),
        (b"", ("json", "nvs:microdps/config")),
        (b"\xff", ("json", "nvs:microdps/config")),
        (text + b" " * 5000, ("json", "nvs:microdps/config")),
        (b"{}", ("missing-key", "nvs:microdps/config: id_scope")),
    ):
        assert raised(load_nvs, blob).args in (
            why,
            ("missing-key", "nvs:microdps/config: registration_id"),
        ), blob


def test_neither_file_nor_esp32():
    assert raised(config.load, "no-such-file.json").args == ("missing", "no-such-file.json")


def test_registration_ids():
    for text in ("a", "Device-01", "a.b_c:d-", "x" * 128, "-"):
        assert config.valid_registration_id(text), text
    for text in ("", "a.", "a_", "a:", "a b", "a/b", "\u00e9", "x" * 129, "a\n"):
        assert not config.valid_registration_id(text), text


def test_values_at_the_limits():
    for key, values in (
        ("watchdog_s", (0, 60, 3600)),
        ("interval_s", (0, 0.01, 2**30 - 1)),
        ("messages", (0, 2**30 - 1)),
        ("led", (-1, 0, 100)),
        ("transport", ("auto", "https", "mqtt")),
    ):
        for value in values:
            assert config.check(changed(key, value))[key] == value
