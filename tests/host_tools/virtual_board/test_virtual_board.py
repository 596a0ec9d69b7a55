"""The virtual board with the real mpremote, and the main job on it."""

import hashlib
import json
import re
import subprocess
import sys

import pytest

from helpers.virtual_boards import VirtualBoard, device
from microdps_tools import CHECKOUT, FIRMWARE
from microdps_tools.device.program import APP, START_FILES


def test_exec_and_eval(board):
    assert board.mpremote("exec", "print('hello')") == "hello\n"
    assert board.mpremote("eval", "6 * 7") == "42\n"
    assert "ZeroDivisionError" in board.mpremote("exec", "1/0", code=1)
    assert board.mpremote("eval", "__import__('sys').path") == "['', '.frozen', '/lib']\n"


def test_run(board, tmp_path):
    (tmp_path / "script.py").write_text("for i in range(3):\n    print(i)\n")
    assert board.mpremote("run", tmp_path / "script.py") == "0\n1\n2\n"


def test_computers_files_are_hidden(board):
    assert "ENOENT" in board.mpremote("exec", f"open({str(FIRMWARE / 'main.py')!r})", code=1)


def test_files(own, tmp_path):
    data = bytes(range(256)) * 20
    (tmp_path / "data.bin").write_bytes(data)
    own.mpremote("fs", "mkdir", ":folder", "+", "cp", tmp_path / "data.bin", ":folder/")
    assert "5120 data.bin" in own.mpremote("fs", "ls", ":folder")
    assert hashlib.sha256(data).hexdigest() in own.mpremote("fs", "sha256sum", ":folder/data.bin")
    own.mpremote("cp", ":folder/data.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == data
    own.mpremote("touch", ":text")
    assert own.mpremote("fs", "cat", ":text") == ""
    own.mpremote("rm", "-r", ":folder", "+", "rm", ":text")
    assert own.mpremote("fs", "ls") == "ls :\n"


def test_folder_is_copied_to_the_board_and_back(own, tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    files = {"one.py": b"1\n" * 700, "inner/two.bin": bytes(range(256)), "inner/empty": b""}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    own.mpremote("cp", "-r", folder, ":")
    own.mpremote("cp", "-r", ":folder", tmp_path / "back")
    for name, content in files.items():
        assert (tmp_path / "back" / name).read_bytes() == content
    assert own.mpremote("cp", "-r", folder, ":").count("Up to date") == 3
    assert "two.bin" in own.mpremote("fs", "tree", ":")


def test_df(board):
    shown = board.mpremote("df").splitlines()
    assert re.match(r"<VfsLfs2> +2097152 .* /$", shown[1])
    assert len(shown) == 2


def test_mip_installs_a_local_package(own, tmp_path):
    (tmp_path / "thing.py").write_text("ANSWER = 42\n")
    package = {"urls": [["thing.py", "thing.py"]], "version": "1.0"}
    (tmp_path / "package.json").write_text(json.dumps(package))
    own.mpremote("mip", "install", tmp_path / "package.json")
    assert own.mpremote("exec", "import thing; print(thing.__file__, thing.ANSWER)") == (
        "/lib/thing.py 42\n"
    )


def test_mount(board, tmp_path):
    (tmp_path / "here.py").write_text("import os\nprint('on', os.getcwd())\n")
    (tmp_path / "data.bin").write_bytes(bytes(range(256)))
    shown = board.mpremote(
        "mount",
        tmp_path,
        "exec",
        "import here\nwith open('data.bin', 'rb') as f: print(f.read() == bytes(range(256)))\n"
        "with open('new', 'w') as f: f.write('written')",
    )
    assert "on /remote\nTrue\n" in shown
    assert (tmp_path / "new").read_text() == "written"
    assert board.mpremote("exec", "import os; print(os.getcwd())") == "/\n"


@pytest.fixture(scope="module")
def provisioned(simulator, tmp_path_factory):
    """A board that has done the main job."""
    folder = device(tmp_path_factory.mktemp("device"), simulator, "virtual-board")
    with VirtualBoard(tmp_path_factory.mktemp("provisioned") / "flash") as running:
        running.copy(folder, "config.json", "identity", APP, *START_FILES, "microdps")
        running.shown = running.until("sent", reset=True)
        yield running


def test_main_job(provisioned):
    assert "Wi-Fi: joined as" in provisioned.shown
    assert "register: 202" in provisioned.shown
    assert provisioned.shown.count("204 in") == 3
    assert "done: 3 messages sent" in provisioned.shown


def test_status_and_reset(provisioned, simulator, command):
    shown = command("status", provisioned.port)
    assert f"assigned to {simulator.hub} as virtual-board" in shown.out
    assert command("reset", provisioned.port).code == 0
    assert "assigned: not yet" in command("status", provisioned.port).out


def test_command_from_ready_to_sigterm(tmp_path):
    command = [
        sys.executable,
        "-m",
        "microdps_tools",
        "virtual-board",
        "--flash",
        tmp_path / "flash",
    ]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
        finally:
            process.terminate()
        assert re.fullmatch(rf"ready port=/dev/pts/\d+ flash={tmp_path}/flash\n", line)
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_wrong_usage(command):
    assert command("virtual-board", "--size", "1000").code == 2
    assert command("virtual-board", "--listen", "nowhere").code == 2
