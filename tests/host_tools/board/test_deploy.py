"""microdps deploy, on virtual boards: the files that it sends, the next start, power cuts."""

import itertools

import pytest

from helpers.small_programs import PROVES, put, refusal, small
from helpers.virtual_boards import VirtualBoard, device
from microdps_tools import FIRMWARE, ToolError
from microdps_tools.board import deploy, verbs
from microdps_tools.board.raw_repl import SerialTransport
from microdps_tools.device.config import write_config


@pytest.fixture
def calls(monkeypatch):
    """A list of the code that each call runs on the board."""
    codes = []
    original = SerialTransport.exec_raw_no_follow

    def recorded(self, command):
        codes.append(command if isinstance(command, str) else command.decode())
        return original(self, command)

    monkeypatch.setattr(SerialTransport, "exec_raw_no_follow", recorded)
    return codes


def use(board: VirtualBoard) -> str:
    """The content of /program/use."""
    return board.mpremote("resume", "cat", ":program/use")


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


def test_sources_are_deployed_and_proven(simulator, command, board, tmp_path):
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


def test_only_the_changed_module_is_sent(board, calls):
    put(board, small(1))
    put(board, small(2))
    for version in (3, 4):
        calls.clear()
        result = put(board, small(version, PROVES))
        assert "2 files sent" in result
        written = [code for code in calls if "_f = open('/program" in code]
        assert len(written) == 2
        assert "/microdps/program.py'" in written[0]
        assert "/manifest'" in written[1]
        assert f"version {version} runs" in board.until("proven", reset=True)


def test_app_and_configuration_are_sent_on_request_only(board, command, tmp_path, monkeypatch):
    monkeypatch.setattr(verbs, "compile_program", lambda sources: small(1))
    folder = tmp_path / "device"
    (folder / "identity" / "a").mkdir(parents=True)
    (folder / "config.json").write_text('{"log": "info"}')
    for name in ("key", "cert", "roots"):
        (folder / "identity" / "a" / f"{name}.der").write_bytes(name.encode())
    assert command("deploy", board.port).code == 0
    assert "def read" in board.mpremote("resume", "cat", ":app.py")
    board.mpremote("resume", "exec", "with open('app.py', 'w') as f: f.write('mine')")
    shown = command("deploy", board.port, "--config", folder).out
    assert "slot b" in shown
    assert "note: app.py on the board differs from firmware/app.py: --app replaces it" in shown
    assert board.mpremote("resume", "cat", ":program/b/config.json") == '{"log": "info"}'
    assert board.mpremote("resume", "cat", ":program/b/identity/a/roots.der") == "roots"
    assert board.mpremote("resume", "cat", ":app.py") == "mine"
    assert "1 files sent" in command("deploy", board.port, "--app").out
    assert "def read" in board.mpremote("resume", "cat", ":app.py")
    (folder / "identity" / "a" / "key.der").unlink()
    message = command("deploy", board.port, "--config", folder).refusal
    assert "cannot read" in message and "microdps config" in message


def test_configuration_stays_with_the_program_until_it_is_replaced(board):
    device_files = {"config.json": b"old", "identity/a/key.der": b"old key"}
    put(board, small(1, PROVES) | device_files)
    assert "proven" in board.until("proven", reset=True)
    put(board, small(2, PROVES))
    assert board.mpremote("resume", "cat", ":program/b/config.json") == "old"
    assert "proven" in board.until("proven", reset=True)
    assert "2 files sent" in put(board, small(2, PROVES) | device_files | {"config.json": b"new"})
    assert board.mpremote("resume", "cat", ":program/a/config.json") == "new"
    assert board.mpremote("resume", "cat", ":program/a/identity/a/key.der") == "old key"
    assert board.mpremote("resume", "cat", ":program/b/config.json") == "old"


def test_program_that_goes_back_takes_its_configuration_back(simulator, command, board, tmp_path):
    folder = device(tmp_path / "device", simulator, "goes-back")
    assert command("deploy", board.port, "--config", folder).code == 0
    board.until("messages sent")
    wrong = device(tmp_path / "wrong", simulator, "goes-elsewhere")
    write_config(wrong, {"host": "localhost:9", "messages": 1})
    assert command("deploy", board.port, "--config", wrong).code == 0
    board.until("error: localhost:9")
    for _ in range(2):
        board.until("error: localhost:9", reset=True)
    shown = board.until("messages sent", reset=True)
    assert "sent no message: back to a" in shown
    assert "done: 3 messages sent" in shown


@pytest.mark.parametrize("fault", ["raise ValueError('broken')\n", ""], ids=["import", "silent"])
def test_program_that_never_sends_is_replaced_by_the_old_one(board, fault):
    put(board, small(1, PROVES))
    broken = {"microdps/program.py": fault.encode()} if fault else {}
    put(board, small(2) | broken)
    if fault:  # the board starts again without help
        shown = board.until("version 1 runs")
        assert shown.count("ValueError: broken") >= 2
        assert shown.count("the program failed: starting again in 2 s") >= 2
    else:
        board.until("version 2 runs")
        for _ in range(2):
            assert "version 2 runs" in board.until(">>> ", reset=True)
        shown = board.until("version 1 runs", reset=True)
    assert "error: the program in slot b sent no message: back to a" in shown
    assert use(board) == "a"
    assert "version 1 runs" in board.until(">>> ", reset=True)


def test_soft_resets_by_mpremote_do_not_count_as_starts(board):
    put(board, small(1))
    put(board, small(2))
    before = use(board)
    for _ in range(4):
        board.mpremote("exec", "1")
    assert use(board) == before


def test_program_on_trial_is_replaced_and_the_proven_one_stays(board):
    put(board, small(1))
    put(board, small(2))
    assert "slot b" in put(board, small(3))
    assert use(board)[0::2] == "ba"
    assert "version 3 runs" in board.until(">>> ", reset=True)


def test_board_goes_back_to_a_program_outside_of_the_slots(board, tmp_path):
    """The old program was copied as the README says, without slots."""
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
def test_program_runs_with_a_damaged_use_file(board, text):
    put(board, small(1))
    board.mpremote("resume", "exec", f"with open('/program/use', 'w') as f: f.write({text!r})")
    assert "version 1 runs" in board.until(">>> ", reset=True)


# Prints the configuration and the key that lie in the program's slot.
SHOWS_FILES = (
    "    place = __file__.rsplit('microdps/', 1)[0]\n"
    "    print(open(place + 'config.json').read(), open(place + 'identity/a/key.der').read())\n"
)


def whole(version: int) -> dict[str, bytes]:
    """A program, its configuration and its identity, all of one version."""
    number = b"%d" % version
    files = {"config.json": number, "identity/a/key.der": number}
    return small(version, SHOWS_FILES + PROVES, added=b"# " + number) | files


def test_power_cut_at_every_call(tmp_path, monkeypatch):
    """After each cut the old program starts with its own files, and a second deploy succeeds."""
    board = VirtualBoard(tmp_path / "flash")
    send = SerialTransport.exec_raw_no_follow
    left = itertools.count(-1000)

    def cut(self, command):
        send(self, command)
        if next(left) == 0:
            board.kill()

    with board:
        put(board, whole(1))
        assert "proven" in board.until("proven", reset=True)
    monkeypatch.setattr(SerialTransport, "exec_raw_no_follow", cut)
    version = 1
    for calls in itertools.count():
        old, version = version, version + 1
        left = itertools.count(-calls)
        board.start()
        try:
            put(board, whole(version))
        except ToolError as error:
            assert "broke off" in str(error) and "deploy again" in str(error)
        else:
            break
        left = itertools.count(-1000)
        board.start()
        shown = board.until("proven", reset=True)
        assert any(f"version {n} runs\n{n} {n}\n" in shown for n in (old, version))
        assert "Traceback" not in shown
        put(board, whole(version))
        assert f"version {version} runs" in board.until("proven", reset=True)
        found = board.mpremote(
            "resume", "exec", "import os; print(os.listdir(), os.listdir('/program'))"
        )
        assert ".new" not in found
        board.stop()
    assert calls >= 7
    board.stop()


def test_full_file_system(tmp_path, monkeypatch):
    with VirtualBoard(tmp_path / "flash", "--size", "128k") as board:
        fill = "with open('rubbish', 'wb') as f: f.write(bytes(70000))"
        board.mpremote("exec", fill)
        shown = refusal(board, small(1))
        assert "is full" in shown
        assert "delete files that you do not need, and deploy again" in shown
        assert board.mpremote("exec", "import os; print(os.listdir())") == "['rubbish']\n"
        monkeypatch.setattr(deploy, "_check_room", lambda *_: None)
        shown = refusal(board, small(1, more=bytes(30000)))
        assert "is full: the old program stays in use; delete files that you do not need" in shown
        left = board.mpremote("exec", "import os; print(os.listdir(), os.listdir('/program/a'))")
        assert left == "['program', 'rubbish'] ['microdps']\n"
        board.mpremote("rm", ":rubbish")
        put(board, small(1))
        assert "version 1 runs" in board.until("version 1 runs", reset=True)


def test_socket(tmp_path):
    with VirtualBoard(tmp_path / "flash", "--listen", "127.0.0.1:0") as board:
        assert "slot a" in put(board, small(1))
        assert board.mpremote(
            "resume", "exec", "import os; print('use' in os.listdir('/program'))"
        )
