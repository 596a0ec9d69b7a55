"""microdps demo, on both interpreters, and as a separate process."""

import re
import subprocess
import time

import pytest

from microdps_tools import CHECKOUT, interpreter
from microdps_tools.demo.demo import demo


@pytest.mark.parametrize("enrollment", ["group", "individual"])
def test_messages_are_accepted(enrollment, which, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(interpreter, "find", lambda: which)
    line = demo(tmp_path, enrollment)
    device_id = "device-01" if enrollment == "group" else "thermometer-7"
    assert re.fullmatch(rf"demo: 10 messages accepted by localhost:\d+ for {device_id}", line)
    shown = capfd.readouterr().out
    assert "Wi-Fi: skipped" in shown
    assert len(re.findall(r"^POST .*: 204 in \d+ ms$", shown, re.MULTILINE)) == 10
    assert len(re.findall(r"^PUT .*/register: 202 in \d+ ms$", shown, re.MULTILINE)) == 1
    assert len(re.findall(r"^GET .*/operations/.*: 200 in \d+ ms$", shown, re.MULTILINE)) == 1


def test_nothing_is_left_running_or_behind(tmp_path):
    """As `make demo` runs it."""
    command = [*interpreter.cpython().command, "-m", "microdps_tools", "demo"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 20
    assert re.search(r"demo: 10 messages accepted by \S+ for device-01\n$", done.stdout)
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in running.stdout


def test_failure_is_one_sentence(tmp_path):
    command = [*interpreter.cpython().command, "-m", "microdps_tools", "demo"]
    command += ["--hub", "renegotiate", "--transport", "https"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("microdps: the device failed")
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_are_kept_in_a_folder_that_is_named_relative(tmp_path):
    """Outside of the checkout. Nobody but the owner can look into it."""
    command = [*interpreter.cpython().command, "-m", "microdps_tools", "demo"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*command, "--keep", "kept/files"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = tmp_path / "kept" / "files"
    assert (kept / "device" / "config.json").exists()
    assert kept.stat().st_mode & 0o777 == 0o700
