"""The README's make targets and tables."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from microdps_tools import CHECKOUT, interpreter
from microdps_tools.__main__ import parser

README = (CHECKOUT / "README.md").read_text()
FIRMWARE_README = (CHECKOUT / "firmware" / "README.md").read_text()


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


def test_every_variable_that_a_target_names_is_taken():
    texts = re.findall(r"^[a-z-]+:.*## (.*)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    names = set(re.findall(r"([A-Z_]+)=", " ".join(texts)))
    assert names >= {"PORT", "HUB", "SESSIONS"}
    given = [f"{name}=1" for name in sorted(names)]
    done = subprocess.run(["make", "help", *given], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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


def test_table_of_verbs_has_every_verb():
    text = (CHECKOUT / "host_tools" / "README.md").read_text()
    table = text.split("\n## The verbs\n")[1].split("\n## ")[0]
    told = set(
        re.findall(r"`([a-z-]+)", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)))
    )
    (action,) = (one for one in parser()._actions if one.dest == "==SUPPRESS==" and one.choices)
    assert set(action.choices) <= told


def test_configuration_table_has_every_key():
    from microdps.program.config import KEYS

    table = FIRMWARE_README.split("| key of config.json |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(KEYS)


def test_interpreter_of_the_platform_table_is_the_one_that_runs():
    code = "import sys; print('%d.%d.%d-%s' % sys.implementation.version)"
    command = [*interpreter.micropython().command, "-c", code]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert f"MicroPython {version}, 64-bit Unix port" in README
