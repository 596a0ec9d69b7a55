"""The READMEs are right: their commands and code run, and their links lead to files."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from helpers import virtual_boards as boards
from helpers.mock_boot_loader import Mock, write_firmware
from helpers.programs import run_code
from microdps_tools import CHECKOUT, interpreter
from microdps_tools.__main__ import main, parser
from microdps_tools.device import config
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.settings import Settings

PORT = "/dev/ttyUSB0"

READMES = [
    path
    for path in sorted(CHECKOUT.glob("**/README.md"))
    if not re.search(r"(^|/)(\.|build/|node_modules/)", str(path.relative_to(CHECKOUT)))
]
README = (CHECKOUT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]


def test_each_folder_of_the_house_has_a_readme():
    for folder in ("", "firmware", "host_tools", "host_tools/simulator", "boards", "tests"):
        assert CHECKOUT / folder / "README.md" in READMES


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_make_targets_exist(path):
    makefile = (CHECKOUT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_microdps_command_is_right_usage():
    seen = 0
    for block in blocks(README, "sh"):
        for command in commands(block):
            if command and command[0] == "microdps":
                parser().parse_args(command[1:])
                seen += 1
    assert seen >= 8


def test_the_steps_on_this_machine_lead_to_messages(tmp_path):
    """With one terminal for the simulator, and another one for the other commands."""
    simulate, steps = blocks(README, "sh")[1:3]
    settings = Settings(tmp_path)
    for port in (settings.dps_port, settings.hub_port, settings.page_port):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"port {port} is in use on this machine")
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    with subprocess.Popen(
        shlex.split(simulate), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as simulator:
        try:
            assert any(line.startswith("ready ") for line in simulator.stdout)
            done = subprocess.run(
                ["bash", "-e", "-c", steps],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
        finally:
            simulator.terminate()
            simulator.stdout.read()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done: 3 messages sent" in done.stdout


def test_program_of_the_readme_runs(simulator, which, tmp_path):
    """Only its ID scope and its host are replaced by the simulator's."""
    (code,) = blocks(README, "python")
    name = f"readme-{which.name}"
    identity = simulator.device(name)
    code = code.replace('"identity/a"', repr(str(identity)))
    code = code.replace('"0ne00111111"', repr(simulator.id_scope))
    code = code.replace('"device-01",', f"{name!r}, host={simulator.dps!r},")
    assert run_code(which, code + "print(assignment.hub)").lines == [simulator.hub]


def test_asyncio_program_of_the_readme_runs(simulator, which):
    code, _ = blocks((CHECKOUT / "firmware" / "README.md").read_text(), "python")
    name = f"readme-aio-{which.name}"
    code = code.replace('"identity/a"', repr(str(simulator.device(name))))
    code = code.replace('"0ne00111111"', repr(simulator.id_scope))
    code = code.replace('"device-01",', f"{name!r}, host={simulator.dps!r},")
    assert run_code(which, code + "print('sent')").lines == ["sent"]


def test_client_of_the_readme_runs(simulator, which):
    _, code = blocks((CHECKOUT / "firmware" / "README.md").read_text(), "python")
    identity = simulator.device(f"readme-client-{which.name}")
    code = code.replace('"identity/a"', repr(str(identity)))
    code = code.replace("https://hub.example:8443", f"https://{simulator.dps}")
    assert run_code(which, code + "print(response.status)").lines == ["404"]


def microdps(command: list[str], folder, **names: str) -> str:
    """Run a command of the README in a folder → its output. names: words to replace."""
    words = [names.get(word, word) for word in command]
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), words[0]), *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_first_board_gets_to_telemetry(simulator, tmp_path):
    """All commands run: flashing with a mock of the boot loader, the others on virtual boards."""
    section = README.split("## Your first board")[1].split("\n## ")[0]
    flashing, deploying, _ = map(commands, blocks(section, "sh"))
    # Slow enough that the last message comes after the test has opened the port.
    folder = boards.configure(tmp_path / "device", simulator, "readme-board", interval_s=0.5)
    write_firmware(tmp_path / "ESP32_GENERIC.bin")
    check, flash, status = flashing
    config.write_identity(folder, None, "azure")
    config.write_config(folder, {"host": "global.azure-devices-provisioning.net"})
    assert "a board can use this" in microdps(check, tmp_path)
    boards.configure(folder, simulator, "readme-board", interval_s=0.5)
    mock = Mock(tmp_path / "mock")
    try:
        microdps(flash, tmp_path, **{PORT: mock.port})
        files = mock.read(0x200000, 0x40000), mock.read(0x9000, 0x6000)
    finally:
        mock.stop()
    (tmp_path / "flashed").mkdir()
    (tmp_path / "flashed" / "board").write_bytes(files[0].ljust(0x200000, b"\xff"))
    (tmp_path / "flashed" / "nvs.bin").write_bytes(files[1])
    with boards.VirtualBoard(tmp_path / "flashed" / "board") as board:
        board.until("done: 3 messages sent")
        shown = microdps(status, tmp_path, **{PORT: board.port})
    assert f"assigned to {simulator.hub} as readme-board" in shown
    with_config, app, monitor = deploying
    with boards.VirtualBoard(tmp_path / "deployed") as board:
        microdps(with_config, tmp_path, **{PORT: board.port})
        board.until("done: 3 messages sent")
        assert "unchanged" in microdps(app, tmp_path, **{PORT: board.port})
        assert monitor == ["microdps", "monitor", PORT]


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A function that runs a command of the README in one folder, against a simulator there.

    Replaced are: the port of DPS, the place where the group's CA is, and Azure's roots and
    host by the simulator's.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MICRODPS_WIFI_PASSWORD", "correct horse")
    options = ["--id-scope", "0ne00111111", "--assign-after", "0", "--retry-after", "1"]
    with running_simulator(tmp_path / ".simulator", *options) as at:
        key = tmp_path / ".simulator" / "connection-string.key.txt"
        root = [".simulator/root.cert.pem"]
        azure = {"azure": [*root, "--host", at["dps"]], "localhost:8443": [at["dps"]]}
        for name in ("SUBSCRIPTION", "GROUP", "DPS"):
            azure[name] = ["simulated"]

        def call(words: list[str], **names: str) -> None:
            replaced = azure | {name: [value] for name, value in names.items()}
            words = [one for word in words for one in replaced.get(word, [word])]
            if words[1] == "enroll":
                words += [] if "--ca" in words else ["--ca", *root]
                words += ["--connection-string-file", str(key)] if words[2] == "ca" else []
            assert main(words[1:]) == 0, words

        call.connection_string = key.read_text()
        yield call


def test_all_commands_run_in_order_in_one_folder(started, tmp_path, monkeypatch, capfd):
    """As a reader runs them. Boards are mocks of the boot loader."""
    write_firmware(tmp_path / "ESP32_GENERIC.bin")
    (tmp_path / "devices.csv").write_text("registration_id\nfleet-1\nfleet-2\n")
    boards = [Mock(tmp_path / f"mock-{number}") for number in range(2)]
    ports = [SimpleNamespace(device=one.port, description="", vid=1, pid=1) for one in boards]
    monkeypatch.setattr(list_ports, "comports", lambda: ports[1:])
    seen = set()
    try:
        for block in blocks(README, "sh"):
            for words in commands(block):
                if words[:1] == ["export"]:
                    value = started.connection_string.strip()
                    monkeypatch.setenv(words[1].partition("=")[0], value)
                if words[:1] != ["microdps"] or words[1] in ELSEWHERE:
                    continue
                if words[1:4] == ["check", "device", "--board"]:
                    started(words[:3])  # with --board, localhost is refused
                    continue
                seen.add(words[1])
                # The mocks have one MAC, so a board has had another device before.
                again = ["--again"] if "--all" in words else []
                started([*words, *again], **{PORT: boards[0].port})
    finally:
        for one in boards:
            one.stop()
    shown = capfd.readouterr().out
    assert "done: 3 messages sent" in shown
    assert "unchanged: " in shown  # what config has left as it was is printed
    assert re.search(r"is on \S+, \d+ bytes\n\S+: 3 files with its keys deleted", shown)
    assert seen == {"certs", "enroll", "config", "run", "flash"}


# These commands need a board with a program, or are started by the test itself.
ELSEWHERE = {"simulate", "status", "deploy", "monitor"}


def test_make_targets_for_a_board_are_made_of_these_commands():
    done = subprocess.run(
        ["make", "-n", "check", "image", "flash", "deploy", "status", "certs", "enroll", "monitor"]
        + ["PORT=/dev/x", "BOARD=ESP32_GENERIC_C3", "NAME=device-07", "FIRMWARE=m.bin"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [
        line for line in done.stdout.replace("\\\n", " ").splitlines() if "/microdps " in line
    ]
    assert len(lines) == 8
    for line in lines:
        parser().parse_args(shlex.split(line)[1:])
    assert "monitor /dev/x" in done.stdout
    assert "build/ESP32_GENERIC_C3.bin" not in done.stdout  # MicroPython's own name


@pytest.mark.parametrize("given", ["PROT=/dev/x", "Board=ESP32_GENERIC"])
def test_misspelt_variable_of_make_is_refused(given):
    done = subprocess.run(
        ["make", "-n", "flash", given], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"there is no variable {given.partition('=')[0]}" in done.stderr


def test_make_enroll_reaches_the_simulator(tmp_path):
    """As long as no connection string of Azure's is set."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / ".simulator").mkdir()
    (tmp_path / ".simulator" / "connection-string.key.txt").touch()
    for variable, reached in (({}, True), ({"MICRODPS_DPS_CONNECTION_STRING": "x"}, False)):
        done = subprocess.run(
            ["make", "-n", "enroll", "--assume-old=setup"],
            cwd=tmp_path,
            env={**os.environ, **variable},
            capture_output=True,
            text=True,
        )
        assert ("--ca .simulator/root.cert.pem" in done.stdout) is reached, done.stderr


def test_configuration_table_has_every_key():
    from microdps.program.config import KEYS

    text = (CHECKOUT / "firmware" / "README.md").read_text()
    table = text.split("| key of config.json |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(KEYS)


def test_interpreter_of_the_platform_table_is_the_one_that_runs():
    code = "import sys; print('%d.%d.%d-%s' % sys.implementation.version)"
    command = [*interpreter.micropython().command, "-c", code]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert f"MicroPython {version}, 64-bit Unix port" in README
