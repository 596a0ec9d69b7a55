"""The table of advice has each code that the device raises, and no other."""

import ast

import pytest

from microdps import advice
from microdps.errors import Error, LinkError
from microdps.protocol import service_error as service
from microdps_tools import FIRMWARE

TABLE = {code: (happened, check) for code, happened, check in advice.lines()}

CLASSES = {"ConfigError", "IdentityError", "StateError", "OutboxError"}
CLASSES |= {"LinkError", "ProtocolError"}

# Codes that come from the services, not from the device's source.
SERVICE = {code for code in TABLE if str(code).startswith("IotHub") or str(code).isdigit()}


def texts(node) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def codes_raised() -> set[str]:
    """The literal first arguments of the errors that the source raises."""
    found = set()
    for path in (FIRMWARE / "microdps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in CLASSES | {"error"}
            ):
                found |= texts(node.args[0])
    return found


def codes_composed() -> set[str]:
    """The codes that the source builds: time-outs, phases, kinds of files, and statuses of a
    registration."""
    phases = {"connect", "handshake", "answer"}
    return {f"timeout-{phase}" for phase in phases} | {
        "connect",
        "handshake",
        "pem",
        "failed",
        "disabled",
    }


def test_table_has_exactly_the_codes_that_the_device_raises():
    assert codes_raised() - {"timeout-"} | codes_composed() == set(TABLE) - SERVICE


def test_composed_codes_are_in_the_source():
    source = "".join(path.read_text() for path in (FIRMWARE / "microdps").rglob("*.py"))
    for code in codes_composed():
        assert f'"{code.removeprefix("timeout-")}"' in source, code


@pytest.mark.parametrize("code", TABLE)
def test_each_entry_says_what_happened_and_what_to_check(code):
    text = str(Error(code, "there"))
    assert text.startswith("there: ")
    assert ". Check " in text
    assert text.endswith(".")
    assert ".." not in text.replace("…", "")


@pytest.mark.parametrize(
    ("code", "same"), [(401003, 401), (403012, 403), (503, 500), (503001, 500), (429001, 429)]
)
def test_unlisted_error_code_is_explained_by_its_status(code, same):
    assert advice.lookup(code) == TABLE[str(same)]


def test_unknown_code_has_advice_too():
    assert "Check its message." in str(LinkError("never-heard-of", "there"))
    assert "Check its message." in str(LinkError(299, "there"))


def test_service_error_shows_the_answer_of_azure():
    error = service.error(401002, "dps", 401, 401002, "Invalid certificate.", "8ad0463c")
    assert str(error).endswith(
        "[HTTP 401, errorCode 401002, message Invalid certificate., tracking ID 8ad0463c]"
    )
