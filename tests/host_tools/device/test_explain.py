"""microdps explain prints the device's own table."""

import pytest

from microdps import advice
from microdps_tools.__main__ import main

TABLE = {code: (happened, check) for code, happened, check in advice.lines()}


@pytest.mark.parametrize("code", TABLE)
def test_every_code_of_the_device_is_explained(code, capsys):
    assert main(["explain", str(code)]) == 0
    shown = capsys.readouterr().out
    happened, check = TABLE[code]
    assert shown == f"{code}: {happened}.\nCheck {check}.\n"


def test_azures_401002_lists_its_causes(capsys):
    assert main(["explain", "401002"]) == 0
    shown = capsys.readouterr().out
    for cause in ("CN", "dates", "issuer", "enrollment", "ID scope"):
        assert cause in shown


def test_unlisted_code_of_azures_is_explained_by_its_status(capsys):
    assert main(["explain", "503001"]) == 0
    assert "the service has an error" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["nonsense", "12", "9999999"])
def test_unknown_code(code, capsys):
    assert main(["explain", code]) == 1
    assert f"there is no error code '{code}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("DeviceNotFound", "the hub does not know this device (HTTP 404)"),
        ("devicenotfound", "HTTP 404"),
        ("404001", "the hub does not know this device (HTTP 404)"),
        ("ThrottlingException", "too many requests (HTTP 429)"),
        ("OutcomeUnknown", "The hub may have taken the message or not"),
        ("LinkError", "The network or TLS failed"),
        ("ConfigError", "A key of config.json"),
        ("404999", "not in the table; it stands for HTTP 404"),
        ("418", "it stands for HTTP 418"),
        ("WIFI", "wifi: the Wi-Fi was not joined"),
    ],
)
def test_names_of_the_hub_classes_and_unknown_numbers(code, words, capsys):
    assert main(["explain", code]) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "meant"),
    [("mismach", "mismatch"), ("DeviceNotFond", "DeviceNotFound"), ("linkerror1", "LinkError")],
)
def test_mistyped_code_names_the_nearest(code, meant, capsys):
    assert main(["explain", code]) == 1
    assert capsys.readouterr().err.endswith(f"; did you mean {meant}?\n")


def test_without_a_code_all_are_listed(capsys):
    assert main(["explain"]) == 0
    shown = capsys.readouterr().out
    for code, (happened, _) in TABLE.items():
        assert f"  {code} " in shown and happened in shown
    for word in ("DeviceNotFound", "ThrottlingException", "OutcomeUnknown"):
        assert word in shown
