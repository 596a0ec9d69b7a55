"""The whole command line: help, exit codes, errors, signals."""

import argparse
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from microdps import __version__
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


def test_version_is_that_of_the_program():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"microdps {__version__}\n")


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
        ("monitor",),
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
        ("image", "devices"),
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


@pytest.mark.parametrize("arguments", [("certs",), ("enroll",), ("fly",), ("run", "--fly")])
def test_wrong_usage(command, arguments):
    done = command(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("usage: microdps")


def test_without_a_verb_the_help_is_printed(command):
    done = command()
    assert (done.code, done.err) == (0, "")
    assert done.out == command("--help").out


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("flahs",), "flash"),
        (("monitr", "x"), "monitor"),
        (("certs", "chian", "a"), "chain"),
        (("check", "d", "--bord", "x"), "--board"),
        (("config", "--wifi-sid=x"), "--wifi-ssid"),
        (("certs", "chain", "a", "--key", "ec-p255"), "ec-p256"),
    ],
)
def test_mistyped_word_names_the_nearest(command, arguments, meant):
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"; did you mean {meant}?\n")


def test_list_of_verbs_is_that_of_the_rooms():
    """Their own lines of help are shown without loading them."""
    (whole,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    (stubs,) = [a for a in parser("-")._actions if isinstance(a, argparse._SubParsersAction)]
    shown = [{a.dest: a.help for a in one._choices_actions} for one in (whole, stubs)]
    assert shown[0] == shown[1]


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
    assert lines[0] == (
        f"service API: its connection string is in {tmp_path / 'connection-string.key.txt'}\n"
    )
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


def test_git_ignores_what_the_tools_write_by_default():
    """A key must not get into a repository by accident."""
    written = {"device/x", "devices/x", "nvs.bin", "nvs/x", ".flashed.jsonl.1.run", "x.pfx"}
    for path in PATHS:
        for action in at(path)._actions:
            if isinstance(action.default, Path):
                written.add(str(action.default if action.default.suffix else action.default / "x"))
    assert {"certs/x", "flashed.jsonl", "board.flash", "device.key.bin"} <= written
    command = ["git", "check-ignore", "--no-index", *written]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert set(done.stdout.split()) == written


def at(path: tuple[str, ...]) -> argparse.ArgumentParser:
    """The parser that these words lead to."""
    found = parser()
    for word in path:
        (verbs,) = [a for a in found._actions if isinstance(a, argparse._SubParsersAction)]
        found = verbs.choices[word]
    return found
