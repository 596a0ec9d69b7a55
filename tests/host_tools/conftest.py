"""What the tests of the host tools share: the command line, and DPS's service API."""

from dataclasses import dataclass

import pytest
import requests

from microdps_tools.__main__ import main
from microdps_tools.enroll import connection_string, sas
from microdps_tools.simulator.dps.authorization import KEY_NAME

TIMEOUT_S = 20


@dataclass
class Done:
    """A command that has ended: exit code and output."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one sentence of a command that failed; fails if it ended in any other way."""
        assert self.code == 1, self.out + self.err
        assert self.out == ""
        assert self.err.startswith("microdps: ")
        assert self.err.count("\n") == 1
        return self.err


@pytest.fixture
def command(capfd):
    """Run `microdps` with arguments, in this process → Done."""

    def run(*arguments) -> Done:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        return Done(code, *capfd.readouterr())

    return run


class Rest:
    """DPS's service API of a simulator, by hand."""

    def __init__(self, simulator):
        self.simulator = simulator
        text = connection_string.read(simulator.state / "connection-string.key.txt")
        self.key = connection_string.parse(text)["SharedAccessKey"]

    def __call__(self, method: str, path: str, record=None, **given) -> requests.Response:
        """Ask for enrollments/… or enrollmentGroups/…; given: headers, version."""
        headers = {"Authorization": self.token()} | given.get("headers", {})
        return requests.request(
            method,
            f"https://{self.simulator.dps}/{path}",
            params={"api-version": given.get("version", "2021-10-01")},
            json=record,
            headers=headers,
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
        )

    def token(self, **given) -> str:
        host = given.pop("host", self.simulator.dps)
        key_name = given.pop("key_name", KEY_NAME)
        return sas.token(host, key_name, given.pop("key", self.key), **given)


@pytest.fixture
def rest(simulator) -> Rest:
    return Rest(simulator)
