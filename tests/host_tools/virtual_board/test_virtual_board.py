"""The virtual board, as the real mpremote sees it; a power cut; the main job on it."""

import hashlib
import json
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.virtual_boards import VirtualBoard, device, listen
from microdps_tools import CHECKOUT, FIRMWARE
from microdps_tools.device import run


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with VirtualBoard(tmp_path_factory.mktemp("board") / "flash") as running:
        yield running


@pytest.fixture
def own(tmp_path):
    """A board for one test."""
    with VirtualBoard(tmp_path / "flash") as running:
        yield running


def test_exec_and_eval(board):
    assert board.mpremote("exec", "print('hello')") == "hello\n"
    assert board.mpremote("eval", "6 * 7") == "42\n"
    assert "ZeroDivisionError" in board.mpremote("exec", "1/0", code=1)
    assert board.mpremote("eval", "__import__('sys').path") == "['', '.frozen', '/lib']\n"


def test_run(board, tmp_path):
    (tmp_path / "script.py").write_text("for i in range(3):\n    print(i)\n")
    assert board.mpremote("run", tmp_path / "script.py") == "0\n1\n2\n"


def test_nothing_of_the_computer_is_seen(board):
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


def test_folder_is_copied_there_and_back(own, tmp_path):
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


def test_soft_reset_runs_boot_but_not_main(own, tmp_path):
    for name in ("boot", "main"):
        (tmp_path / f"{name}.py").write_text(f"print('{name}.py runs')\n")
    own.copy(tmp_path, "boot.py", "main.py")
    own.mpremote("exec", "import sys; kept = 1")
    assert "NameError" in own.mpremote("soft-reset", "exec", "kept", code=1)
    cause = "import machine; print(machine.reset_cause() == machine.SOFT_RESET)"
    assert own.mpremote("soft-reset", "exec", cause) == "True\n"
    port = os.open(own.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x01")
        listen(port, "raw REPL; CTRL-B to exit\r\n>")
        os.write(port, b"\x04")
        shown = listen(port, "raw REPL; CTRL-B to exit\r\n>")
        assert shown.endswith("soft reboot\r\nboot.py runs\nraw REPL; CTRL-B to exit\r\n>"), shown
        os.write(port, b"\x02")
        listen(port, ">>> ")
        os.write(port, b"\x04")
        shown = listen(port, ">>> ")
        assert "MPY: soft reboot\r\nboot.py runs\nmain.py runs\nMicroPython" in shown
    finally:
        os.close(port)


def test_resume_keeps_what_is_there(board):
    board.mpremote("exec", "kept = 42")
    assert board.mpremote("resume", "eval", "kept") == "42\n"


def test_reset_starts_anew(own, tmp_path):
    (tmp_path / "main.py").write_text(
        "import machine, time\n"
        "print('cause', machine.reset_cause())\n"
        "try:\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    print('asked')\n"
    )
    own.copy(tmp_path, "main.py")
    own.mpremote("reset")
    own.mpremote("resume", "exec", "import os; os.stat('main.py')")
    assert "asked" not in own.until("cause", reset=True)
    own.mpremote("resume", "exec", "print(machine.reset_cause() == machine.HARD_RESET)")


def test_exit_of_main_is_a_soft_reset(own, tmp_path):
    (tmp_path / "main.py").write_text(
        "import os, sys\n"
        "print('main runs')\n"
        "if 'again' not in os.listdir():\n"
        "    open('again', 'w').close()\n"
        "    sys.exit()\n"
    )
    own.copy(tmp_path, "main.py")
    shown = own.until("soft reboot\r\nmain runs", reset=True)
    assert "Traceback" not in shown


def test_failing_boot_keeps_main_from_running(own, tmp_path):
    """As ports/esp32/main.c does since 1.22."""
    (tmp_path / "boot.py").write_text("1/0\n")
    (tmp_path / "main.py").write_text("print('main runs')\n")
    own.copy(tmp_path, "boot.py", "main.py")
    shown = own.until(">>> ", reset=True)
    assert 'File "boot.py", line 1' in shown
    assert "main runs" not in shown


def test_ctrl_c_interrupts_main(own, tmp_path):
    (tmp_path / "main.py").write_text("print('main runs')\nwhile True:\n    pass\n")
    own.copy(tmp_path, "main.py")
    own.until("main runs", reset=True)
    port = os.open(own.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(port, b"\x03")
        shown = listen(port, ">>> ")
    finally:
        os.close(port)
    assert "KeyboardInterrupt" in shown
    assert 'File "main.py", line ' in shown


def test_interrupts_leave_the_file_system_whole(own):
    """Ctrl-C at any moment of writing; the same littlefs goes on."""
    code = (
        "n = 0\n"
        "while True:\n"
        "    with open('file%d' % (n % 7), 'wb') as f:\n"
        "        f.write(bytes([n & 255]) * 3000)\n"
        "    n += 1\n"
    )
    check = (
        "import os\n"
        "print(sum(1 for name in os.listdir() if len(set(open(name, 'rb').read())) < 2))\n"
    )
    for _ in range(4):
        own.mpremote("resume", "exec", "--no-follow", code)
        files = int(own.mpremote("resume", "exec", check))
    assert files == 7
    own.mpremote("exec", check)


def test_nobody_listens(own, tmp_path):
    """What is printed is lost, and the board goes on."""
    (tmp_path / "main.py").write_text(
        "import esp32\n"
        "for i in range(2000):\n"
        "    print('line', i, 'x' * 100)\n"
        "esp32.NVS('test').set_blob('over', b'')\n"
    )
    own.copy(tmp_path, "main.py")
    own.mpremote("reset")
    deadline = time.monotonic() + 20
    while not (tmp_path / "nvs" / "test" / "over").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_power_cut_in_the_middle_of_a_file(tmp_path):
    """Whatever was complete is whole at the next start."""
    board = VirtualBoard(tmp_path / "flash")
    code = (
        "n = {}\n"
        "while True:\n"
        "    with open('file' + str(n), 'wb') as f:\n"
        "        for i in range(4): f.write(bytes([n & 255]) * 1000)\n"
        "    n += 1\n"
        "    print(n)\n"
    )
    check = (
        "import os\n"
        "for name in os.listdir():\n"
        "    data = open(name, 'rb').read()\n"
        "    print(name[4:], len(data), len(set(data)))\n"
    )
    complete = 0
    for cut in range(2):
        board.start()
        writer = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mpremote",
                "connect",
                board.port,
                "exec",
                code.format(complete),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in writer.stdout:
            complete = int(line)
            if complete > 7 * (cut + 1):
                break
        board.kill()
        complete = max([complete, *map(int, writer.communicate()[0].split())])
        with board:
            found = [
                list(map(int, line.split()))
                for line in board.mpremote("exec", check).split("\n")[:-1]
            ]
        assert sorted(found)[:complete] == [[n, 4000, 1] for n in range(complete)]


def test_power_cut_ends_the_interpreter_too(own):
    pid = own.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    watched = os.pidfd_open(int(child))
    try:
        own.kill()
        assert select.select([watched], [], [], 10)[0]
    finally:
        os.close(watched)


@pytest.fixture(scope="module")
def provisioned(simulator, tmp_path_factory):
    """A board that has done the main job."""
    folder = device(tmp_path_factory.mktemp("device"), simulator, "virtual-board")
    with VirtualBoard(tmp_path_factory.mktemp("provisioned") / "flash") as running:
        running.copy(folder, "config.json", "identity", run.OWN, *run.PROGRAM)
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


def test_socket(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--listen", "127.0.0.1:0") as board:
        assert board.port.startswith("socket://127.0.0.1:")
        (tmp_path / "file").write_text("content\n")
        board.mpremote("cp", tmp_path / "file", ":")
        assert board.mpremote("cat", ":file") == "content\n"


def test_link(tmp_path):
    (tmp_path / "port").symlink_to("stale")
    with VirtualBoard(tmp_path / "flash", "--link", str(tmp_path / "port")) as board:
        assert board.port == str(tmp_path / "port")
        assert board.mpremote("eval", "1") == "1\n"
    assert {path.name for path in tmp_path.iterdir()} == {"flash"}


def test_size(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--size", "128k") as board:
        assert "<VfsLfs2>    131072" in board.mpremote("df")
    assert (tmp_path / "flash").stat().st_size == 131072


def test_nvs_lies_beside_the_flash(tmp_path):
    with VirtualBoard(tmp_path / "flash") as board:
        board.mpremote("exec", "import esp32; esp32.NVS('n').set_blob('k', b'blob')")
        code = "import esp32; b = bytearray(9); print(esp32.NVS('n').get_blob('k', b), b[:4])"
        assert board.mpremote("exec", code) == "4 bytearray(b'blob')\n"
    assert (tmp_path / "nvs" / "n" / "k").read_bytes() == b"blob"


def test_flash_that_is_none(command, tmp_path):
    other = tmp_path / "letter.txt"
    other.write_bytes(b"Dear reader," * 4096)
    refusal = command("virtual-board", "--flash", other).refusal
    assert "holds no littlefs" in refusal and "name another file" in refusal
    assert other.read_bytes() == b"Dear reader," * 4096
    assert "cannot" in command("virtual-board", "--flash", "/proc/no/flash").refusal


def test_flash_in_use(command, board):
    assert "is in use: end the other" in command("virtual-board", "--flash", board.flash).refusal


def test_place_that_is_taken(command, tmp_path):
    flash = tmp_path / "flash"
    taken = tmp_path / "taken"
    taken.write_text("mine")
    refusal = command("virtual-board", "--flash", flash, "--link", taken).refusal
    assert "is there already and no link: name another" in refusal
    assert taken.read_text() == "mine"
    with VirtualBoard(flash, "--listen", "127.0.0.1:0") as board:
        address = board.port.removeprefix("socket://")
        refusal = command("virtual-board", "--flash", tmp_path / "x", "--listen", address).refusal
    assert "name another port" in refusal
    assert not (tmp_path / "x").exists()


def test_command(tmp_path):
    """The command itself, from the ready line to SIGTERM."""
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
