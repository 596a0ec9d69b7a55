"""microdps deploy, on virtual boards: what is sent, what starts, what can go wrong."""

import itertools
import json
import os
import tomllib
from pathlib import Path

import pytest

from host_tools import CHECKOUT, FIRMWARE, ToolError, deploy
from host_tools.deploy import SerialTransport
from tests.host_tools.virtual_board.boards import VirtualBoard, device

COMMON = {f"microdps/part{n}.py": b"# " + bytes([65 + n]) * 3000 + b"\n" for n in range(2)}


def small(version: int, body: str = "", **more: bytes) -> dict[str, bytes]:
    """A program that prints its version, and what makes it differ from others."""
    code = f"def run():\n    print('version {version} runs')\n{body}"
    return {
        "microdps/__init__.py": b"",
        "microdps/board.py": b"PRESENT = True\n",
        "microdps/program.py": code.encode(),
        **COMMON,
        **{f"microdps/{name}.py": content for name, content in more.items()},
    }


PROVES = (
    "    import os\n"
    "    with open('program/use') as f: use = f.read()\n"
    "    with open('program/use.new', 'w') as f: f.write(use[0])\n"
    "    os.rename('program/use.new', 'program/use')\n"
    "    print('proven')\n"
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A virtual board starts faster than a real one."""
    monkeypatch.setattr(deploy, "ATTEMPT_S", 0.5)


@pytest.fixture
def board(tmp_path):
    with VirtualBoard(tmp_path / "flash") as running:
        yield running


@pytest.fixture
def calls(monkeypatch):
    """The code of each call of the board → list."""
    made = []
    whole = SerialTransport.exec_raw_no_follow

    def counted(self, command):
        made.append(command if isinstance(command, str) else command.decode())
        return whole(self, command)

    monkeypatch.setattr(SerialTransport, "exec_raw_no_follow", counted)
    return made


def put(board: VirtualBoard, files: dict[str, bytes], **own: bytes) -> str:
    return deploy.deploy(board.port, files, {f"/{n}.py": content for n, content in own.items()})


def use(board: VirtualBoard) -> str:
    return board.mpremote("resume", "cat", ":program/use")


def refusal(board: VirtualBoard, files: dict[str, bytes]) -> str:
    with pytest.raises(ToolError) as caught:
        put(board, files)
    return str(caught.value)


def test_main_job_runs_and_the_next_deploy_writes_nothing(
    simulator, command, board, tmp_path, calls
):
    folder = device(tmp_path / "device", simulator, "deployed")
    done = command("deploy", board.port, "--config", folder)
    assert (done.code, done.err) == (0, "")
    shown = board.until("messages sent")
    assert "done: 3 messages sent" in shown
    names = board.mpremote("resume", "exec", "import os; print(os.listdir('/program/a/microdps'))")
    assert "device.mpy" in names and "cpython" not in names
    assert f"assigned to {simulator.hub} as deployed" in command("status", board.port).out
    calls.clear()
    assert "unchanged, and restarted" in command("deploy", board.port).out
    assert len(calls) <= 3
    assert "register" not in board.until("messages sent")


def test_sources_by_the_way_of_a_trial(simulator, command, board, tmp_path):
    folder = device(tmp_path / "device", simulator, "deployed-sources")
    assert command("deploy", board.port, "--config", folder).code == 0
    board.until("messages sent")
    assert command("deploy", board.port, "--py").code == 0
    shown = board.until("messages sent")
    assert "program: the one in slot b stays in use" in shown
    assert "register" not in shown
    assert use(board) == "b"


def test_unchanged_program_writes_nothing(board, calls):
    put(board, small(1))
    board.until(">>> ", reset=True)
    before = board.flash.read_bytes()
    calls.clear()
    assert "unchanged, and restarted" in put(board, small(1))
    assert len(calls) <= 3
    assert "version 1 runs" in board.until(">>> ", reset=True)
    assert board.flash.read_bytes() == before


def test_changed_module_alone_is_sent(board, calls):
    put(board, small(1))
    put(board, small(2))
    for version in (3, 4):
        calls.clear()
        told = put(board, small(version, PROVES))
        assert "2 files sent" in told
        written = [code for code in calls if "_f = open('/program" in code]
        assert len(written) == 2
        assert "/microdps/program.py'" in written[0]
        assert "/manifest'" in written[1]
        assert f"version {version} runs" in board.until("proven", reset=True)


def test_app_and_configuration_only_on_request(board, command, tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "program", lambda sources: small(1))
    folder = tmp_path / "device"
    (folder / "identity" / "a").mkdir(parents=True)
    (folder / "config.json").write_text('{"log": "info"}')
    for name in ("key", "cert", "roots"):
        (folder / "identity" / "a" / f"{name}.der").write_bytes(name.encode())
    assert command("deploy", board.port).code == 0
    assert "def read" in board.mpremote("resume", "cat", ":app.py")
    board.mpremote("resume", "exec", "with open('app.py', 'w') as f: f.write('mine')")
    assert "slot a" in command("deploy", board.port, "--config", folder).out
    assert board.mpremote("resume", "cat", ":config.json") == '{"log": "info"}'
    assert board.mpremote("resume", "cat", ":identity/a/roots.der") == "roots"
    assert board.mpremote("resume", "cat", ":app.py") == "mine"
    assert "1 files sent" in command("deploy", board.port, "--app").out
    assert "def read" in board.mpremote("resume", "cat", ":app.py")
    (folder / "identity" / "a" / "key.der").unlink()
    told = command("deploy", board.port, "--config", folder).refusal
    assert "cannot read" in told and "microdps config" in told


@pytest.mark.parametrize("fault", ["raise ValueError('broken')\n", ""], ids=["import", "silent"])
def test_program_that_never_sends_is_given_up_for_the_old_one(board, fault):
    put(board, small(1, PROVES))
    main = (FIRMWARE / "main.py").read_bytes().replace(b"_PAUSE_S = 2", b"_PAUSE_S = 0")
    broken = {"microdps/program.py": fault.encode()} if fault else {}
    put(board, small(2) | broken, main=main)
    if fault:  # starts again by itself
        shown = board.until("version 1 runs")
        assert shown.count("ValueError: broken") >= 2
        assert shown.count("the new program failed: starting again") >= 2
    else:
        board.until("version 2 runs")
        for _ in range(2):
            assert "version 2 runs" in board.until(">>> ", reset=True)
        shown = board.until("version 1 runs", reset=True)
    assert "error: the program in slot b sent no message: back to a" in shown
    assert use(board) == "a"
    assert "version 1 runs" in board.until(">>> ", reset=True)


def test_soft_resets_of_mpremote_are_no_starts(board):
    put(board, small(1))
    put(board, small(2))
    before = use(board)
    for _ in range(4):
        board.mpremote("exec", "1")
    assert use(board) == before


def test_program_on_trial_is_replaced_and_the_proven_one_stays(board):
    put(board, small(1))
    put(board, small(2))
    told = put(board, small(3))
    assert "slot b" in told
    assert use(board)[0::2] == "ba"
    assert "version 3 runs" in board.until(">>> ", reset=True)


def test_plain_layout_is_what_a_new_program_falls_back_to(board, tmp_path):
    """Copied as the README says, without slots."""
    (tmp_path / "microdps").mkdir()
    for name, content in small(1).items():
        (tmp_path / name).write_bytes(content)
    for name in ("boot.py", "main.py"):
        (tmp_path / name).write_bytes((FIRMWARE / name).read_bytes())
    board.copy(tmp_path, "boot.py", "main.py", "microdps")
    assert "version 1 runs" in board.until(">>> ", reset=True)
    put(board, small(2))
    assert "version 2 runs" in board.until(">>> ", reset=True)
    board.mpremote("resume", "exec", "with open('/program/use', 'w') as f: f.write('a0.')")
    shown = board.until("version 1 runs", reset=True)
    assert "sent no message: back to ." in shown
    assert "version 1 runs" in board.until(">>> ", reset=True)


@pytest.mark.parametrize("text", ["", "?", "b", "bxa", "c3a", "a\n"])
def test_damaged_use_file_runs_what_is_there(board, text):
    put(board, small(1))
    board.mpremote("resume", "exec", f"with open('/program/use', 'w') as f: f.write({text!r})")
    assert "version 1 runs" in board.until(">>> ", reset=True)


def test_plug_pulled_at_every_call(tmp_path, monkeypatch):
    """The old program starts, and a second deploy finishes."""
    board = VirtualBoard(tmp_path / "flash")
    whole = SerialTransport.exec_raw_no_follow
    left = itertools.count(-1000)

    def cut(self, command):
        whole(self, command)
        if next(left) == 0:
            board.kill()

    with board:
        put(board, small(1, PROVES))
        assert "proven" in board.until("proven", reset=True)
    monkeypatch.setattr(SerialTransport, "exec_raw_no_follow", cut)
    version = 1
    for calls in itertools.count():
        old, version = version, version + 1
        left = itertools.count(-calls)
        board.start()
        try:
            put(board, small(version, PROVES, added=b"# %d" % version))
        except ToolError as error:
            assert "broke off" in str(error) and "deploy again" in str(error)
        else:
            break
        left = itertools.count(-1000)
        board.start()
        shown = board.until("proven", reset=True)
        assert f"version {old} runs" in shown or f"version {version} runs" in shown
        assert "Traceback" not in shown
        put(board, small(version, PROVES, added=b"# %d" % version))
        assert f"version {version} runs" in board.until("proven", reset=True)
        found = board.mpremote(
            "resume", "exec", "import os; print(os.listdir(), os.listdir('/program'))"
        )
        assert ".new" not in found
        board.stop()
    assert calls >= 7
    board.stop()


def test_port_that_is_not_there(command):
    told = command("deploy", "/dev/no-such-port").refusal
    assert "there is no such port; plug the board in" in told
    told = command("deploy", "socket://127.0.0.1:1").refusal
    assert "cannot open socket://127.0.0.1:1: start the board" in told


def test_port_in_use(command, board):
    other = SerialTransport(board.port)
    try:
        assert "end the other program" in command("deploy", board.port).refusal
    finally:
        other.close()


def test_nothing_behind_the_port(command, monkeypatch):
    monkeypatch.setattr(deploy, "ATTEMPT_S", 0.1)
    master, slave = os.openpty()
    try:
        told = command("deploy", os.ttyname(slave)).refusal
    finally:
        os.close(slave)
        os.close(master)
    assert "does not react: see that it is a board with MicroPython" in told


def test_program_that_does_not_react(board, tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "ATTEMPT_S", 0.2)
    (tmp_path / "main.py").write_text(
        "print('deaf')\n"
        "while True:\n"
        "    try:\n"
        "        while True: pass\n"
        "    except KeyboardInterrupt: pass\n"
    )
    board.copy(tmp_path, "main.py")
    board.until("deaf", reset=True)
    assert "does not react" in refusal(board, small(1))


def test_program_that_runs_is_interrupted_and_started_again(board, tmp_path):
    (tmp_path / "main.py").write_text("print('busy')\nwhile True: pass\n")
    board.copy(tmp_path, "main.py")
    board.until("busy", reset=True)
    put(board, small(1))
    assert "version 1 runs" in board.until("version 1 runs", reset=True)


def test_read_only_file_system(board, tmp_path):
    (tmp_path / "boot.py").write_text(
        "import os, vfs\n"
        "fs = vfs.mount()[0][0]\n"
        "vfs.umount('/')\n"
        "vfs.mount(fs, '/', readonly=True)\n"
        "os.chdir('/')\n"
    )
    board.copy(tmp_path, "boot.py")
    board.mpremote("reset")
    told = refusal(board, small(1))
    assert "is read-only: the old program stays in use; see how boot.py mounts it" in told


def test_full_file_system(tmp_path, monkeypatch):
    with VirtualBoard(tmp_path / "flash", "--size", "128k") as board:
        fill = "with open('rubbish', 'wb') as f: f.write(bytes(70000))"
        board.mpremote("exec", fill)
        told = refusal(board, small(1))
        assert "is full" in told and "delete what is not needed, and deploy again" in told
        assert board.mpremote("exec", "import os; print(os.listdir())") == "['rubbish']\n"
        monkeypatch.setattr(deploy, "_check_room", lambda *_: None)
        told = refusal(board, small(1, more=bytes(30000)))
        assert "is full: the old program stays in use; delete what is not needed" in told
        left = board.mpremote("exec", "import os; print(os.listdir(), os.listdir('/program/a'))")
        assert left == "['program', 'rubbish'] ['microdps']\n"
        board.mpremote("rm", ":rubbish")
        put(board, small(1))
        assert "version 1 runs" in board.until("version 1 runs", reset=True)


@pytest.mark.parametrize(
    ("reported", "said"),
    [
        ("('circuitpython', (9, 2, 0, ''))", "runs circuitpython 9.2.0: flash MicroPython 1.24"),
        (
            "('micropython', (1, 23, 0))",
            "runs micropython 1.23.0: flash MicroPython 1.24 or newer",
        ),
    ],
)
def test_other_firmware(board, monkeypatch, reported, said):
    monkeypatch.setattr(
        deploy, "ON_BOARD", deploy.ON_BOARD.replace("sys.implementation", reported)
    )
    assert said in refusal(board, small(1))
    broken = deploy.ON_BOARD.replace("import binascii", "import no_such_module")
    monkeypatch.setattr(deploy, "ON_BOARD", broken)
    assert said in refusal(board, small(1))


def test_socket(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--listen", "127.0.0.1:0") as board:
        assert "slot a" in put(board, small(1))
        assert board.mpremote(
            "resume", "exec", "import os; print('use' in os.listdir('/program'))"
        )


def device_files() -> set[str]:
    """The package's files: all but the stand-in for computers."""
    found = {path.relative_to(FIRMWARE).as_posix() for path in (FIRMWARE / "microdps").rglob("*")}
    return {n for n in found if n.endswith((".py", ".txt")) and not n.endswith("/cpython.py")}


def test_package_json_lists_every_file_and_the_version():
    package = json.loads((FIRMWARE / "package.json").read_text())
    assert {target for target, _ in package["urls"]} == device_files()
    assert all(target == source for target, source in package["urls"])
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert package["version"] == project["version"]


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
    exec(  # noqa: S102  what MicroPython's build does
        code,
        {
            "metadata": lambda **given: frozen.update(given),
            "include": lambda path: frozen.update(port=path),
            "package": package,
        },
    )
    assert included == {name for name in device_files() if name.endswith(".py")}
    assert all((FIRMWARE / name).exists() for name in included)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert frozen["version"] == project["version"]
    assert Path(str(frozen["base"])) == Path(".")
