"""The lock on a simulator's state."""

import subprocess
import sys

import pytest

from helpers.simulators import start_simulator
from microdps_tools import CHECKOUT, ToolError
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.state_lock import lock_state, tell_holder


def files(folder) -> dict:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != "simulator.log"
    }


def test_second_simulator_says_who_holds_the_state_and_changes_nothing(tmp_path):
    with start_simulator(tmp_path, "--id-scope=0ne00000001") as at:
        state = tmp_path / "state"
        before = files(state)
        command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", state]
        command += ["--id-scope=0ne00000002", "--dps-port=0", "--hub-port=0", "--page-port=0"]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"process {at['pid']}, DPS on {at['dps']}" in done.stderr
        assert "--state" in done.stderr
        assert files(state) == before
    # The lock ends with its process.
    with running_simulator(tmp_path / "state") as at:
        assert at["id_scope"] == "0ne00000001"


def test_scope_is_not_changed_if_a_port_is_in_use(tmp_path):
    with start_simulator(tmp_path, "--id-scope=0ne00000001") as at:
        port = at["dps"].split(":")[1]
        other = tmp_path / "other"
        with running_simulator(other, "--id-scope=0ne00000003"):
            pass
        with (
            pytest.raises(ToolError, match=f"port {port}"),
            running_simulator(other, f"--dps-port={port}", "--id-scope=0ne00000004"),
        ):
            pass
        with running_simulator(other) as again:
            assert again["id_scope"] == "0ne00000003"


def test_lock_that_a_process_has_left_behind_does_not_matter(tmp_path):
    (tmp_path / "lock").write_text("process 1, DPS on localhost:8443\n")
    with lock_state(tmp_path) as lock:
        tell_holder(lock, "DPS on localhost:1")
        with pytest.raises(ToolError, match="DPS on localhost:1"):
            lock_state(tmp_path)
    with lock_state(tmp_path):
        pass


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="another folder"):
        lock_state(tmp_path / "file" / "state")
