"""The commands and the code of the READMEs run, and their tables are complete."""

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
from microdps_tools import CHECKOUT
from microdps_tools.__main__ import main, parser
from microdps_tools.device import config
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.settings import Settings

PORT = "/dev/ttyUSB0"

README = (CHECKOUT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


FIRMWARE_README = (CHECKOUT / "firmware" / "README.md").read_text()
FIRMWARE_PROGRAMS = blocks(FIRMWARE_README, "python")


def commands(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]


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
    (code,) = (code for code in FIRMWARE_PROGRAMS if "microdps.aio" in code)
    name = f"readme-aio-{which.name}"
    code = code.replace('"identity/a"', repr(str(simulator.device(name))))
    code = code.replace('"0ne00111111"', repr(simulator.id_scope))
    code = code.replace('"device-01",', f"{name!r}, host={simulator.dps!r},")
    assert run_code(which, code + "print('sent')").lines == ["sent"]


def test_client_of_the_readme_runs(simulator, which):
    (code,) = (code for code in FIRMWARE_PROGRAMS if "microdps.client" in code)
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
        files = mock.read(0x200000, 0x80000), mock.read(0x9000, 0x6000)
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


def test_own_main_program_gets_onto_a_board(simulator, tmp_path):
    """The commands of firmware/README.md, on a virtual board."""
    boards.configure(tmp_path / "device", simulator, "readme-own-main", interval_s=0.5)
    (tmp_path / "firmware").symlink_to(CHECKOUT / "firmware")
    (block,) = (b for b in blocks(FIRMWARE_README, "sh") if "mip install" in b)
    with boards.VirtualBoard(tmp_path / "flash") as board:
        for command in commands(block):
            microdps(command, tmp_path, **{PORT: board.port})
        assert "/messages/events: 204" in board.until("/messages/events: 204")
    assert simulator.messages("readme-own-main")


def test_next_certificate_gets_onto_a_board(simulator, tmp_path):
    """The commands of firmware/README.md, on a virtual board."""
    name = "readme-renewed"
    names = {"device-01": name, "certs/device-01/b": f"certs/{name}/b"}
    shutil.copytree(simulator.folder / "certs", tmp_path / "certs")
    microdps(["microdps", "certs", "chain", name], tmp_path)
    boards.configure(tmp_path / "device", simulator, name)
    (block,) = (b for b in blocks(FIRMWARE_README, "sh") if "certs renew" in b)
    *renew, deploy = commands(block)
    with boards.VirtualBoard(tmp_path / "flash") as board:
        microdps(deploy, tmp_path, **{PORT: board.port})
        board.until("done: 3 messages sent")
        for command in renew:
            microdps(command, tmp_path, **names)
        microdps(deploy, tmp_path, **{PORT: board.port})
        assert "the one in slot b is in use now" in board.until("messages sent")
