"""What the READMEs say: their commands and code are run, their links lead somewhere."""

import os
import re
import shlex
import socket
import subprocess
import sysconfig

import pytest

from conftest import run_code
from host_tools import CHECKOUT, interpreter
from host_tools.__main__ import parser
from host_tools.simulator.settings import Settings

READMES = [
    path
    for path in sorted(CHECKOUT.glob("**/README.md"))
    if not {".venv", "build", "node_modules"} & set(path.relative_to(CHECKOUT).parts)
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
def test_links_lead_somewhere(path):
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
    """As a person would: one terminal for the simulator, one for the rest."""
    simulate, steps = blocks(README, "sh")[1:3]
    ports = Settings(tmp_path).dps_port, Settings(tmp_path).hub_port
    for port in ports:
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
    """But for the ID scope and the host, which are the simulator's."""
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


def test_files_that_are_copied_to_a_board_are_there():
    block = next(block for block in blocks(README, "sh") if "mpremote cp" in block)
    copied = [c for c in commands(block) if c[:2] == ["mpremote", "cp"]][0]
    for name in copied[3:-1]:
        assert (CHECKOUT / "firmware" / name).exists(), name


def test_configuration_table_has_every_key():
    from microdps.config import KEYS

    text = (CHECKOUT / "firmware" / "README.md").read_text()
    table = text.split("| key of config.json |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(KEYS)


def test_interpreter_of_the_platform_table_is_the_one_that_runs():
    code = "import sys; print('%d.%d.%d-%s' % sys.implementation.version)"
    command = [*interpreter.micropython().command, "-c", code]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert f"MicroPython {version}, 64-bit Unix port" in README
