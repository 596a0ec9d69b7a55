"""firmware/package.json and manifest.py list every file of the device package, and its version."""

import json
import re
import tomllib
from pathlib import Path

import pytest

import microdps
from helpers.virtual_boards import VirtualBoard
from microdps_tools import CHECKOUT, FIRMWARE


@pytest.fixture
def board(tmp_path):
    with VirtualBoard(tmp_path / "flash") as running:
        yield running


def device_files() -> set[str]:
    """The files of the package, without those that only computers need."""
    found = {path.relative_to(FIRMWARE).as_posix() for path in (FIRMWARE / "microdps").rglob("*")}
    return {n for n in found if n.endswith((".py", ".txt")) and not n.endswith("/cpython.py")}


def test_all_names_of_the_version_agree():
    """There is one version: of the program on the board, and of the tools."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == microdps.__version__
    changes = (CHECKOUT / "CHANGELOG.md").read_text()
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == microdps.__version__


def test_package_json_lists_every_file_and_the_version():
    package = json.loads((FIRMWARE / "package.json").read_text())
    assert {target for target, _ in package["urls"]} == device_files()
    assert all(target == source for target, source in package["urls"])
    assert package["version"] == microdps.__version__


def test_mip_installs_the_package(board):
    board.mpremote("mip", "install", FIRMWARE / "package.json")
    shown = board.mpremote("exec", "import microdps.device as d; print(d.__file__)")
    assert shown == "/lib/microdps/device.py\n"


def test_manifest_freezes_every_module():
    frozen: dict[str, object] = {}
    included: set[str] = set()

    def package(name, files=None, base_path=".", opt=None):
        included.update(f"{name}/{file}" for file in files)
        frozen["base"] = base_path
        frozen["opt"] = opt

    code = compile((FIRMWARE / "manifest.py").read_text(), "manifest.py", "exec")
    exec(  # noqa: S102  as MicroPython's build does
        code,
        {
            "metadata": lambda **given: frozen.update(given),
            "include": lambda path: frozen.update(port=path),
            "package": package,
        },
    )
    assert included == {name for name in device_files() if name.endswith(".py")}
    assert all((FIRMWARE / name).exists() for name in included)
    assert frozen["version"] == microdps.__version__
    assert Path(str(frozen["base"])) == Path(".")
