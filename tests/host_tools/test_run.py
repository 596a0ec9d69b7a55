"""The device's program, run on this machine from a device's folder."""

import pytest

from host_tools import FIRMWARE, config, deploy, interpreter, run

EXITS = "import sys\nsys.exit({})\n"


@pytest.fixture
def folder(tmp_path):
    """A device's folder with nothing but a config.json."""
    settings = {"id_scope": "0ne00111111", "registration_id": "device-01"}
    config.write_config(tmp_path, settings)
    return tmp_path


def modules(package) -> dict[str, bytes]:
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(package).as_posix(): path.read_bytes() for path in files}


def test_program_is_laid(tmp_path):
    run.lay(tmp_path / "device")
    assert {path.name for path in (tmp_path / "device").iterdir()} == {
        "app.py",
        "boot.py",
        "main.py",
        "microdps",
    }
    for name in ("app.py", "boot.py", "main.py"):
        assert (tmp_path / "device" / name).read_bytes() == (FIRMWARE / name).read_bytes()
    laid = tmp_path / "device" / "microdps"
    assert {f"microdps/{name}": content for name, content in modules(laid).items()} == (
        deploy.program()
    )
    run.lay(tmp_path / "device", sources=True)
    assert modules(laid) == modules(FIRMWARE / "microdps")
    assert not (laid / "__pycache__").exists()


def test_laying_again_replaces_the_program_but_not_the_app(folder):
    run.lay(folder)
    before = modules(folder / "microdps")
    for file in (
        folder / "main.py",
        folder / "microdps" / "protocol" / "dps.mpy",
        folder / "app.py",
    ):
        file.write_text("mine\n")
    (folder / "microdps" / "gone_in_this_release.mpy").touch()
    run.lay(folder)
    assert (folder / "main.py").read_bytes() == (FIRMWARE / "main.py").read_bytes()
    assert modules(folder / "microdps") == before
    assert (folder / "app.py").read_text() == "mine\n"


def test_folder_without_a_config_is_refused_and_left_empty(command, tmp_path):
    assert "has no config.json" in command("run", tmp_path).refusal
    assert list(tmp_path.iterdir()) == []
    assert "has no config.json" in command("run", tmp_path / "nowhere").refusal


def test_program_that_cannot_be_laid(command, folder):
    (folder / "main.py").mkdir()
    assert f"cannot lay the program in {folder}" in command("run", folder).refusal


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_of_the_device_is_passed_on(command, which, folder, code):
    (folder / "app.py").write_text(EXITS.format(code))
    done = command("run", folder, "--interpreter", which.name.lower())
    assert done.code == code
    assert done.out.splitlines()[0] == f"{which.name} runs main.py in {folder}"
    assert (folder / "app.py").read_text() == EXITS.format(code)


def test_device_that_fails_says_why(command, which, folder):
    """There is no identity."""
    done = command("run", folder, "--interpreter", which.name.lower())
    assert done.code == 1
    assert done.out.splitlines()[-1].startswith("error: identity/a/key.der: ")


def test_device_runs_to_its_end(command, simulator, which):
    name = f"run-{which.name}"
    folder = simulator.device(name).parent.parent
    settings = {"id_scope": simulator.id_scope, "registration_id": name, "host": simulator.dps}
    config.write_config(folder, settings | {"messages": 2, "interval_s": 0})
    done = command("run", folder, "--interpreter", which.name.lower())
    assert (done.code, done.err) == (0, "")
    assert f"assigned to {simulator.hub} as {name}" in done.out.splitlines()
    assert done.out.splitlines()[-1] == "done: 2 messages sent"


def test_heap_is_micropythons(command, folder):
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
