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
        "outbox": "never",
        "outbox_kb": 64,
        "outbox_keep": "newest",
    }


def test_all_keys():
    given = dict(
        LEAST,
        host="localhost:8443",
        wifi={"ssid": "home", "password": "secret12"},
        interval_s=0.5,
        messages=10,
        transport="mqtt",
        log="error",
        ntp="time.example",
        led=2,
        watchdog_s=0,
        outbox="always",
        outbox_kb=4,
        outbox_keep="oldest",
    )
    assert config.check(given) == given


def test_unknown_key_is_reported_and_ignored_on_a_board():
    lines = []
    given = dict(LEAST, colour="red")
    assert config.check(given, "c", lines.append) == config.check(LEAST)
    (line,) = lines
    assert line.startswith("ignored: c: colour: there is no such key"), line


def test_unknown_key_is_reported_when_all_else_is_right():
    """A board that cannot start looks at its configuration again and again."""
    lines = []
    given = dict(LEAST, colour="red", log="loud")
    assert raised(config.check, given, "c", lines.append).args == ("value", "c: log")
    assert lines == []


def test_wifi():
    for ssid, password, right in (
        ("home", "", True),
        ("home", "12345678", True),
        ("home", "correct horse ~!", True),
        ("home", "x" * 63, True),
        ("home", "0123456789abcdefABCDEF" + "0" * 42, True),
        ("x" * 32, "", True),
        ("\u00e9" * 16, "", True),
        ("", "12345678", False),
        ("x" * 33, "12345678", False),
        ("\u00e9" * 17, "12345678", False),
        ("home", "x", False),
        ("home", "1234567", False),
        ("home", "x" * 64, False),
        ("home", "0" * 65, False),
        ("home", "p\u00e4ssword", False),
        ("home", "pass\tword", False),
        ("home", "password\x7f", False),
    ):
        given = changed("wifi", {"ssid": ssid, "password": password})
        if right:
            assert config.check(given)["wifi"]["ssid"] == ssid
        else:
            assert raised(config.check, given, "c").args == ("value", "c: wifi"), (ssid, password)


def test_no_file():
    error = raised(config.load, "not-there.json")
    assert isinstance(error, ConfigError)
    assert error.args == ("missing", "not-there.json")


def test_no_json():
    for text in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"{'id_scope': 1}"):
        error = raised(load, text)
        assert isinstance(error, ConfigError), text
        assert error.args[1].startswith(FILE), text


# long function: it is one table
# Key, value, code of the error.
WRONG = (
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
    ("interval_s", 0, "value"),
    ("ntp", "", "value"),
    ("ntp", "https://x", "value"),
    ("ntp", "pool.ntp.org:123", "value"),
    ("ntp", 5, "type"),
    ("wi-fi", {}, "unknown-key"),
)


def test_each_wrong_value_names_its_key():
    for key, value, why in WRONG:
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
        ("interval_s", (0.01, 2**30 - 1)),
        ("messages", (0, 2**30 - 1)),
        ("led", (-1, 0, 100)),
        ("transport", ("auto", "https", "mqtt")),
    ):
        for value in values:
            assert config.check(changed(key, value))[key] == value
