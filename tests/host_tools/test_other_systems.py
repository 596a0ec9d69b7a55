"""The tools do without Unix's own modules, as far as that can be shown on this system."""

import subprocess
import sys

import pytest

from microdps_tools import CHECKOUT

TIMEOUT_S = 60

# Windows has none of these modules; it has msvcrt, whose locking() is as Python documents it.
WITHOUT_UNIX = """
import sys, types
# Libraries have their own ways for each system, so they load before.
import asyncio, getpass, multiprocessing, subprocess, tempfile, xml.sax.saxutils
import esptool.cmds, mpremote.transport_serial, serial.tools.list_ports, twisted.internet.reactor
import azure.identity, requests, rich.progress
for name in ("fcntl", "pty", "tty", "termios", "resource", "grp", "pwd"):
    sys.modules[name] = None
held = set()
def locking(descriptor, mode, count):
    import os
    what = os.fstat(descriptor).st_ino
    if mode == 0:
        held.discard(what)
    elif what in held:
        raise PermissionError(13, "Permission denied")
    else:
        held.add(what)
sys.modules["msvcrt"] = types.SimpleNamespace(
    locking=locking, LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2
)
"""

MODULES = sorted(
    ".".join(path.relative_to(CHECKOUT / "host_tools").with_suffix("").parts)
    for path in (CHECKOUT / "host_tools").rglob("*.py")
    if not {"on_board", "fake_modules", "virtual_board", "__main__.py"} & set(path.parts)
)


def run(code: str, folder) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_UNIX + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def test_all_modules_load(tmp_path):
    """The virtual board apart, which is for Linux."""
    names = [f"microdps_tools.{name}".removesuffix(".__init__") for name in MODULES]
    assert len(names) > 80
    code = f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


STEPS = """
from microdps_tools.__main__ import main
from microdps_tools.board.flash_record import FLASHED, Entry, Record
from pathlib import Path
Path("devices.csv").write_text("registration_id\\none\\ntwo\\n")
assert main(["certs", "batch", "devices.csv"]) == 0
given = ["--id-scope", "0ne00111111", "--roots", "azure"]
assert main(["config", "--devices", "certs", *given]) == 0
assert main(["image", "devices", "devices", "--board", "ESP32_GENERIC"]) == 0
first, second = Record(Path("r.jsonl")), Record(Path("r.jsonl"))
assert first.reserve("m1", ["one", "two"], False, False) == "one"
assert second.reserve("m2", ["one", "two"], False, False) == "two"
first.add(Entry("", "one", "m1", "", "", 0, FLASHED))
first.close()
second.close()
"""


def test_a_fleet_is_made(tmp_path):
    done = run(STEPS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("*/*.bin")) == ["one.bin", "two.bin"]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_what_cannot_run_says_so_in_one_sentence(tmp_path, system):
    code = "import microdps\nfrom microdps_tools.__main__ import main\n"
    code += f"sys.platform = {system!r}\nsys.exit(main(['virtual-board']))"
    done = run(code, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("microdps: the virtual board runs on Linux only")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
