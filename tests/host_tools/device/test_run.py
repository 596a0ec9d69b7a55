"""microdps run: the device's program on this computer, from a device's folder."""

import pytest

from microdps_tools import FIRMWARE, interpreter
from microdps_tools.device import run
from microdps_tools.device.config import write_config

EXITS = "import sys\nsys.exit({})\n"


@pytest.fixture
def folder(tmp_path):
    """A device's folder with only a config.json."""
    settings = {"id_scope": "0ne00111111", "registration_id": "device-01"}
    write_config(tmp_path, settings)
    return tmp_path


def test_folder_without_a_config_is_refused_and_left_empty(command, tmp_path):
    assert "has no config.json" in command("run", tmp_path).refusal
    assert list(tmp_path.iterdir()) == []
    assert "has no config.json" in command("run", tmp_path / "nowhere").refusal


def test_program_that_cannot_be_copied(command, folder):
    (folder / "main.py").mkdir()
    assert f"cannot copy the program into {folder}" in command("run", folder).refusal


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_of_the_device_is_passed_on(command, which, folder, code):
    (folder / "app.py").write_text(EXITS.format(code))
    done = command("run", folder, "--interpreter", which.name.lower())
    assert done.code == code
    assert done.out.splitlines()[0] == f"{which.name} runs main.py in {folder}"
    assert (folder / "app.py").read_text() == EXITS.format(code)


def test_failing_device_says_why(command, which, folder):
    """There is no identity."""
    done = command("run", folder, "--interpreter", which.name.lower())
    assert done.code == 1
    assert done.out.splitlines()[-1].startswith("error: identity/a/key.der: ")


def test_device_runs_to_its_end(command, simulator, which):
    name = f"run-{which.name}"
    folder = simulator.device(name).parent.parent
    settings = {"id_scope": simulator.id_scope, "registration_id": name, "host": simulator.dps}
    write_config(folder, settings | {"messages": 2, "interval_s": 0})
    done = command("run", folder, "--interpreter", which.name.lower())
    assert (done.code, done.err) == (0, "")
    assert f"assigned to {simulator.hub} as {name}" in done.out.splitlines()
    assert done.out.splitlines()[-1] == "done: 2 messages sent"


def test_heap_option_sets_micropythons_heap(command, folder):
    (folder / "app.py").write_text(
        "import gc, sys\nprint(gc.mem_free() + gc.mem_alloc())\nsys.exit(3)\n"
    )

    def heap(*options):
        done = command("run", folder, *options)
        assert done.code == 3
        return int(done.out.splitlines()[-1])

    assert heap("--heap", "256k") > 200_000
    assert 100_000 < heap("--interpreter", "micropython") <= 131_072


def test_platform_without_a_wheel_runs_on_cpython(command, folder, monkeypatch):
    monkeypatch.setattr(interpreter, "find", interpreter.cpython)
    (folder / "app.py").write_text(EXITS.format(7))
    done = command("run", folder)
    assert done.code == 7
    assert done.out.startswith("CPython runs")


def test_own_code_that_stays_is_named_and_replaced_on_request(command, which, folder):
    given = ("run", folder, "--interpreter", which.name.lower())
    (folder / "app.py").write_text(EXITS.format(3))
    done = command(*given)
    assert done.err.startswith(f"note: app.py in {folder} differs from firmware/app.py: --app")
    done = command(*given, "--app")
    assert "app.py" not in done.err
    assert (folder / "app.py").read_bytes() == (FIRMWARE / "app.py").read_bytes()


FAILS_ONCE = """
import sys
try:
    open("second")
except OSError:
    open("second", "w").close()
    sys.exit(1)
sys.exit(0)
"""


def test_program_that_fails_is_started_again_on_request(command, folder, monkeypatch):
    monkeypatch.setattr(run, "AGAIN_S", 0.1)
    (folder / "app.py").write_text(FAILS_ONCE)
    done = command("run", folder)
    assert done.code == 1
    assert done.err.endswith("note: a board goes on here, and tries again: so does --keep-going\n")
    (folder / "second").unlink()
    done = command("run", folder, "--keep-going")
    assert done.code == 0
    assert done.err.endswith("started again in 0.1 s, as a board goes on; Ctrl-C ends it\n")
