"""Shared by the tests of the host tools: the command line, and DPS's service API by hand."""

from dataclasses import dataclass

import pytest

from helpers.by_hand import Rest
from microdps_tools.__main__ import main


@dataclass
class Done:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The error, one sentence. Fails if the command ended in any other way."""
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


@pytest.fixture
def rest(simulator) -> Rest:
    return Rest(simulator)
