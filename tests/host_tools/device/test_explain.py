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
