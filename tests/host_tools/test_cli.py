"""The whole command line: help, exit codes, errors, signals."""

import argparse
import shlex
import signal
import socket
import subprocess
import sys

import pytest

from microdps_tools import CHECKOUT
from microdps_tools.__main__ import parser

TIMEOUT_S = 30
MODULE = (sys.executable, "-m", "microdps_tools")


def verbs(top: argparse.ArgumentParser, path: tuple[str, ...] = ()):
    """The words that lead to each parser, sub-verbs included."""
    yield path
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from verbs(below, (*path, name))


PATHS = list(verbs(parser()))


def run(*arguments) -> subprocess.CompletedProcess:
    """Run the command as a separate process."""
    return subprocess.run(
        [*MODULE, *map(str, arguments)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def test_all_verbs_exist():
    assert {path for path in PATHS if len(path) < 2} == {
        (),
        ("certs",),
        ("enroll",),
        ("config",),
        ("check",),
        ("simulate",),
        ("run",),
        ("hub",),
        ("demo",),
        ("image",),
        ("flash",),
        ("deploy",),
        ("virtual-board",),
        ("live-check",),
        ("status",),
        ("reset",),
        ("explain",),
    }
    assert {path for path in PATHS if len(path) == 2} == {
        ("certs", "self-signed"),
        ("certs", "chain"),
        ("certs", "batch"),
        ("certs", "show"),
        ("certs", "convert"),
        ("certs", "prove"),
        ("certs", "renew"),
        ("enroll", "individual"),
        ("enroll", "group"),
        ("enroll", "list"),
        ("enroll", "delete"),
        ("enroll", "ca"),
        *(("hub", action) for action in ("send", "monitor", "twin", "method")),
        ("image", "program"),
        ("image", "device"),
        ("image", "merge"),
    }


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_has_an_example_that_can_be_copied(command, monkeypatch, path):
    """On one line, in a terminal of any width."""
    monkeypatch.setenv("COLUMNS", "60")
    done = command(*path, "--help")
    assert (done.code, done.err) == (0, "")
    (example,) = [line for line in done.out.splitlines() if line.startswith("example: ")]
    words = shlex.split(example.removeprefix("example: "))
    assert words[: len(path) + 1] == ["microdps", *path]
    assert callable(parser().parse_args(words[1:]).function)


@pytest.mark.parametrize("arguments", [(), ("certs",), ("enroll",), ("fly",), ("run", "--fly")])
def test_wrong_usage(command, arguments):
    done = command(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("usage: microdps")


def test_successful_command(tmp_path):
    done = run("certs", "self-signed", "device-01", "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'device-01'}: certificate of device-01 until ")


def test_failure_is_one_sentence_without_a_traceback(tmp_path):
    done = run("run", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"microdps: {tmp_path} has no config.json: write it with 'microdps config'\n"
    )


def test_errors_of_the_device_package_are_printed_like_those_of_the_tools(command, tmp_path):
    """ConfigError is one of them."""
    refusal = command("config", "--out", tmp_path / "device").refusal
    assert refusal.startswith(f"microdps: {tmp_path / 'device' / 'config.json'}: id_scope: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_ends_the_simulator_and_frees_its_ports(tmp_path, number):
    command = [*MODULE, "simulate", "--state", str(tmp_path)]
    command += ["--dps-port=0", "--hub-port=0", "--page-port=0"]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # These tests may run in the background of a shell, which ignores SIGINT there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        try:
            lines = [process.stdout.readline(), process.stdout.readline()]
            process.send_signal(number)
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
    assert lines[0].startswith("service API: HostName=localhost:")
    word, dps, hub, *_ = lines[1].split()
    assert word == "ready"
    for where in (dps, hub):
        with socket.create_server(("127.0.0.1", int(where.rpartition(":")[2]))):
            pass


@pytest.mark.parametrize("option", ["--dps-port", "--hub-port"])
def test_port_in_use(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = "--hub-port=0" if option == "--dps-port" else "--dps-port=0"
        done = run("simulate", "--state", tmp_path, f"{option}={port}", free)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"microdps: cannot listen on port {port} (")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    ["--dps-port=65536", "--hub-port=-1", "--dps-port=x", "--id-scope=", "--id-scope=0ne-1"],
)
def test_simulator_refuses_bad_ports_and_id_scopes(command, option):
    done = command("simulate", option)
    assert done.code == 2
    assert option.partition("=")[0] in done.err


def test_simulator_cannot_write_its_state(tmp_path):
    state = tmp_path / "state"
    state.write_text("mine")
    done = run("simulate", "--state", state, "--dps-port=0", "--hub-port=0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"microdps: cannot keep the state in {state}: ")
    assert done.stderr.count("\n") == 1


def test_simulator_cannot_read_its_state(tmp_path):
    (tmp_path / "simulator.db").write_text("this is no database\n" * 100)
    done = run("simulate", "--state", tmp_path, "--dps-port=0", "--hub-port=0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"microdps: cannot keep the state in {tmp_path}: ")
    assert done.stderr.count("\n") == 1


def test_simulator_continues_after_its_output_is_closed(tmp_path):
    command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--dps-port=0", "--hub-port=0", "--page-port=0"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        port = process.stdout.readline().split()[1].rpartition(":")[2]
        process.stdout.close()
        url = f"https://localhost:{port}/nothing"
        curl = ["curl", "-sS", "--cacert", str(tmp_path / "root.cert.pem"), url]
        for _ in range(2):
            assert "404000" in subprocess.run(curl, capture_output=True, text=True).stdout
        process.terminate()
        assert process.stderr.read() == ""
