"""The folders of host_tools, of its tests, and of the installed packages agree."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from microdps_tools import CHECKOUT

HOST_TOOLS = CHECKOUT / "host_tools"
TESTS = CHECKOUT / "tests" / "host_tools"

# Test files that cover more than one module of their room.
WHOLE_ROOM = {
    "test_cli.py",
    "board/test_upgrade.py",
    "test_start.py",
    "test_other_systems.py",
    "certs/test_openssl.py",
    "simulator/test_hostile_clients.py",
    "simulator/test_hostile_mqtt.py",
    "simulator/test_how_to.py",
    "simulator/test_verified_ca.py",
    "simulator/dps/test_enrolled_certificates.py",
    "simulator/dps/test_enrollments.py",
    "simulator/dps/test_sdk.py",
    "simulator/hub/test_cloud_to_device.py",
    "simulator/hub/test_mqtt_in_full.py",
    "simulator/page/test_api_of_devices.py",
    "simulator/page/test_page_actions_in_chromium.py",
    "simulator/page/test_page_in_chromium.py",
    "simulator/store/test_kill.py",
    "virtual_board/test_fake_modules.py",
}


def packages(root: Path) -> set[str]:
    """The folders with an __init__.py, below a folder: "simulator/dps"."""
    return {
        path.parent.relative_to(root).as_posix()
        for path in root.rglob("__init__.py")
        if path.parent != root
    }


def folders_with_tests(root: Path) -> set[str]:
    return {
        path.parent.relative_to(root).as_posix()
        for path in root.rglob("test_*.py")
        if path.parent != root
    }


def files_without_module(tests: Path, rooms: Path) -> set[str]:
    """The test files whose room has no module of that name."""
    return {
        name.as_posix()
        for name in (path.relative_to(tests) for path in tests.rglob("test_*.py"))
        if not (rooms / name.parent / name.name.removeprefix("test_")).exists()
    }


def test_installed_packages_are_the_folders():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    tools = project["tool"]["setuptools"]
    sources = {"microdps": "firmware/microdps", "microdps_tools": "host_tools"}
    data = {"microdps_tools.board_files": "boards", "microdps_tools.firmware": "firmware"}
    assert tools["package-dir"] == sources | data
    folders = {
        f"{package}.{name}".replace("/", ".")
        for package, folder in sources.items()
        for name in packages(CHECKOUT / folder)
    }
    assert sorted(tools["packages"]) == sorted({*tools["package-dir"], *folders})


def test_each_room_has_its_tests_and_each_test_folder_its_room():
    assert folders_with_tests(TESTS) == packages(HOST_TOOLS)


def test_each_test_file_is_named_after_a_module():
    assert files_without_module(TESTS, HOST_TOOLS) == WHOLE_ROOM


def test_each_room_has_its_verbs():
    rooms = {name for name in packages(HOST_TOOLS) if "/" not in name}
    assert {path.parent.name for path in HOST_TOOLS.glob("*/verbs.py")} == rooms


def test_verbs_only_parse_and_call():
    """No other module of a room imports argparse, or its verbs."""
    for path in HOST_TOOLS.rglob("*.py"):
        if path.name in ("verbs.py", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = {alias.name for alias in getattr(node, "names", []) if alias.name}
            module = getattr(node, "module", None)
            assert not {"argparse", "verbs"} & {*names, module}, path


def test_host_tools_are_not_importable_by_the_folders_name():
    """There is one name for each module, also in the folder that holds them."""
    code = "import importlib.util; print(importlib.util.find_spec('host_tools'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.stdout == "None\n"
    assert not [name for name in sys.modules if name.partition(".")[0] == "host_tools"]


# The tests themselves: made-up trees.


@pytest.fixture
def tree(tmp_path):
    """Make empty files → the folders "rooms" and "tests"."""

    def make(*names: str) -> tuple[Path, Path]:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path / "rooms", tmp_path / "tests"

    return make


def test_room_without_tests_and_tests_without_a_room_are_found(tree):
    files = ("rooms/__init__.py", "rooms/one/__init__.py", "rooms/one/two/__init__.py")
    rooms, tests = tree(*files, "tests/one/test_x.py", "tests/three/test_y.py")
    assert packages(rooms) == {"one", "one/two"}
    assert folders_with_tests(tests) == {"one", "three"}


def test_test_file_without_a_module_is_found(tree):
    rooms, tests = tree("rooms/one/x.py", "tests/one/test_x.py", "tests/one/test_y.py")
    assert files_without_module(tests, rooms) == {"one/test_y.py"}
