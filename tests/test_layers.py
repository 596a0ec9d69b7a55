"""Imports run one way: from upper rooms to lower ones, and never in a circle.

All imports count, those inside functions as well. A room is a folder or, at the top, a module. The
tables below say which rooms a room may import.
"""

import ast

import pytest

from helpers.imports import Module, circles, read_module, read_tree, rooms_of, words, wrong_arrows
from microdps_tools import CHECKOUT, FIRMWARE

HOST_TOOLS = CHECKOUT / "host_tools"

# host_tools/: room → the rooms that it may import. All may import host_tools/__init__.py.
HOST_LAYERS = {
    "files": "",
    "boards": "",
    "hub": "simulator",
    "interpreter": "",
    "text_files": "",
    "colours": "",
    "words": "",
    "certs": "files text_files",
    "enroll": "certs text_files",
    "device": "certs files text_files boards interpreter colours words",
    "board": "device certs files text_files boards interpreter",
    "virtual_board": "files interpreter",
    "simulator": "enroll certs files",
    "demo": "simulator enroll device certs interpreter",
    "__main__": "board certs demo device enroll hub simulator virtual_board colours words",
}

# host_tools/simulator/: the same. "services" is shared by dps and hub; "servers" starts all.
SIMULATOR_ROOMS = {
    "services": "attestation call channel faults http_service limits settings tls"
    " transport_faults",
    "servers": "by_name endpoints listener process run server server_certificate state_lock verbs",
}
SIMULATOR_LAYERS = {
    "store": "",
    "services": "store",
    "hub": "services store",
    "dps": "hub services store",
    "page": "hub services store",
    "servers": "page dps hub services store",
}

# firmware/: room → its modules, and room → the rooms that it may import. A folder is a room.
FIRMWARE_ROOMS = {
    "errors": "errors advice memory",
    "device": "__init__ device aio client session provisioning identity backoff state certificate"
    " rollover late_certificate",
    "start": "main boot app manifest",
    "examples": "sensor two_tasks http_client",
}
FIRMWARE_LAYERS = {
    "errors": "",
    "protocol": "errors",
    "driver": "errors",
    "outbox": "protocol errors",
    "device": "outbox protocol driver errors",
    "program": "outbox device protocol driver errors",
    "start": "program",
    "examples": "program device errors",
}

# Protocol modules do no I/O, so they import none of these.
IO_MODULES = {"machine", "network", "os", "select", "socket", "ssl", "time", "tls"}


@pytest.fixture(scope="module")
def host_tools():
    return read_tree(HOST_TOOLS, "microdps_tools")


@pytest.fixture(scope="module")
def simulator(host_tools):
    """The modules of the simulator, with their imports of each other."""
    start = "simulator."
    return {
        name.removeprefix(start): Module(
            {one.removeprefix(start) for one in module.own if one.startswith(start)}
        )
        for name, module in host_tools.items()
        if name.startswith(start)
    }


@pytest.fixture(scope="module")
def firmware():
    modules = read_tree(FIRMWARE / "microdps", "microdps")
    modules["__init__"] = modules.pop("")
    for path in (*FIRMWARE.glob("*.py"), *FIRMWARE.glob("examples/*.py")):
        modules[path.stem] = read_module(path, path.stem, "microdps", set(modules))
    return modules


@pytest.mark.parametrize("table", [HOST_LAYERS, SIMULATOR_LAYERS, FIRMWARE_LAYERS])
def test_tables_have_no_circle(table):
    assert circles({room: words(lower) for room, lower in table.items()}) == set()


def test_host_tools_keep_their_layers(host_tools):
    assert wrong_arrows(host_tools, HOST_LAYERS, {}) == []


def test_simulator_keeps_its_layers(simulator):
    assert wrong_arrows(simulator, SIMULATOR_LAYERS, SIMULATOR_ROOMS) == []


def test_firmware_keeps_its_layers(firmware):
    assert wrong_arrows(firmware, FIRMWARE_LAYERS, FIRMWARE_ROOMS) == []


def test_host_tools_have_no_circle(host_tools):
    assert circles({name: module.own for name, module in host_tools.items()}) == set()


def test_firmware_has_no_circle(firmware):
    assert circles({name: module.own for name, module in firmware.items()}) == set()


def test_protocol_modules_do_no_io(firmware):
    rooms = rooms_of(firmware, FIRMWARE_ROOMS)
    protocol = [name for name, room in rooms.items() if room == "protocol"]
    assert protocol
    for name in protocol:
        assert not firmware[name].others & IO_MODULES, name


def test_firmware_does_not_import_the_host_tools(firmware):
    for name, module in firmware.items():
        assert not module.others & {"host_tools", "microdps_tools"}, name


def test_each_module_has_one_name():
    """Imports inside host_tools are relative, and tests import microdps_tools."""
    for path in HOST_TOOLS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module.partition(".")[0] not in ("host_tools", "microdps_tools"), path
            elif isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
                assert not tops & {"host_tools", "microdps_tools"}, path
    for path in (CHECKOUT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert (module or "").partition(".")[0] != "host_tools", path


# The tests themselves: a made-up tree with every kind of import.


@pytest.fixture
def tree(tmp_path):
    """Write the files of a package called "made" → its modules."""

    def write(**files: str) -> dict[str, Module]:
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path.joinpath(*name.split("__in__")).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return read_tree(tmp_path, "made")

    return write


LAYERS = {"low": "", "high": "low"}
LOW = {"low__in____init__": "", "low__in__one": "import os\n"}


@pytest.mark.parametrize(
    "code",
    [
        "import made.high.two",
        "from made.high import two",
        "from made.high.two import x",
        "from ..high import two",
        "from ..high.two import x",
        "def late():\n    from ..high.two import x",
        "if True:\n    try:\n        from ..high import two\n    except ImportError: pass",
    ],
)
def test_arrow_that_runs_back_up_is_found(tree, code):
    high = {"high__in____init__": "", "high__in__two": "from ..low import one\nx = 1\n"}
    assert wrong_arrows(tree(**LOW, **high), LAYERS, {}) == []
    modules = tree(**LOW, **high, low__in__three=code)
    assert wrong_arrows(modules, LAYERS, {}) == ["low.three → high.two"]


def test_room_that_the_table_lacks_is_found(tree):
    with pytest.raises(AssertionError, match="the table lacks {'extra'}"):
        wrong_arrows(tree(**LOW, extra=""), LAYERS, {})


def test_circle_is_found(tree):
    modules = tree(
        one="def late():\n    from . import two\n", two="from .three import x\n", three="x = 1\n"
    )
    arrows = {name: module.own for name, module in modules.items()}
    assert circles(arrows) == set()
    arrows["three"] = {"one"}
    assert circles(arrows) == {("one", "three", "two")}


def test_import_of_a_missing_module_is_found(tree):
    with pytest.raises(AssertionError, match="there is no module made.gone"):
        tree(one="from made.gone import x\n")
