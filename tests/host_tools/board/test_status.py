"""microdps status and reset, for a folder and, by the real mpremote, for a serial port."""

import contextlib
import json
import os
import pty
import subprocess
import termios
import threading
import time
import tty
import zlib

import pytest

import microdps
from microdps_tools import interpreter
from microdps_tools.__main__ import main
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.run import run


@pytest.fixture
def folder(simulator, tmp_path, request):
    """A device's folder that has been provisioned and has sent a message."""
    name = f"status-{request.node.name[:20].replace('_', '-').strip('-')}"
    made = tmp_path / "board"
    write_identity(made, simulator.device(name).parent.parent, str(simulator.root))
    settings = {
        "id_scope": simulator.id_scope,
        "registration_id": name,
        "host": simulator.dps,
        "messages": 1,
    }
    write_config(made, settings)
    assert run(made, interpreter.micropython()) == 0
    errors = [
        {
            "utc": "2026-11-24 03:00:00",
            "code": 401002,
            "where": "dps",
            "tracking_id": "8ad0463c",
            "count": 3,
        }
    ]
    (made / "errors.json").write_text(json.dumps(errors))
    return made


@pytest.fixture
def port(folder):
    """A serial port with MicroPython's REPL behind it. The folder is its file system."""
    repl, repl_end = pty.openpty()
    serial, serial_end = pty.openpty()
    for end in (repl_end, serial_end):
        tty.setraw(end, termios.TCSANOW)
    process = subprocess.Popen(
        interpreter.micropython().command,
        cwd=folder,
        stdin=repl_end,
        stdout=repl_end,
        stderr=repl_end,
        env={**os.environ, "MICROPYPATH": f"{folder}:.frozen"},
    )
    os.close(repl_end)

    def copy(source, target):
        with contextlib.suppress(OSError):
            while data := os.read(source, 4096):
                os.write(target, data)

    threads = [
        threading.Thread(target=copy, args=pair, daemon=True)
        for pair in ((repl, serial), (serial, repl))
    ]
    for thread in threads:
        thread.start()
    yield os.ttyname(serial_end)
    process.kill()
    process.wait()
    os.close(serial_end)
    for thread in threads:
        thread.join(10)
    os.close(repl)
    os.close(serial)


@pytest.mark.parametrize("where", ["folder", "port"])
def test_status_shows_assignment_certificate_and_errors(where, request, folder, simulator, capsys):
    target = str(request.getfixturevalue(where))
    capsys.readouterr()
    assert main(["status", target]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"program: microdps {microdps.__version__}\n")
    assert "firmware: MicroPython " in shown
    assert "clock: 20" in shown
    assert f"device: {simulator.id_scope}/status-" in shown
    assert f"assigned to {simulator.hub} as status-" in shown
    assert "certificate: until 20" in shown
    assert (
        "errors: 1\n  2026-11-24 03:00:00 UTC, 3 times: dps\n"
        "    401002: the certificate was not accepted. Check that its CN"
    ) in shown
    assert "    tracking ID: 8ad0463c\n" in shown
    if where == "port":
        assert shown.endswith(f"{target}: restarted, so the program goes on\n")
    assert main(["status", target, "--no-restart"]) == 0
    assert ("reset the board, and the program starts" in capsys.readouterr().out) == (
        where == "port"
    )


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ({"refusals": 3, "due_s": 240}, "waits until 20"),
        ({"refusals": 3, "due_s": -5}, None),
        ({}, None),
    ],
)
def test_status_says_when_it_is_tried_again(folder, capsys, kept, text):
    """state.json as the device writes it: JSON behind its CRC-32."""
    path = folder / "state.json"
    state = json.loads(path.read_bytes().partition(b" ")[2]) | kept
    if "due_s" in state:
        state["due_s"] += int(time.time())
    data = json.dumps(state).encode()
    path.write_bytes(b"%08x " % zlib.crc32(data) + data)
    assert main(["status", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert (text or "assigned to") in shown
    assert ("waits until" in shown) == bool(text)


def test_exception_in_the_journal_is_told_as_one(folder, capsys):
    entry = {"utc": "2026-11-24 03:00:00", "code": "ZeroDivisionError", "count": 1}
    entry |= {"where": "divide by zero (app.py:5)", "exception": True}
    (folder / "errors.json").write_text(json.dumps([entry]))
    assert main(["status", str(folder)]) == 0
    assert (
        "  2026-11-24 03:00:00 UTC: divide by zero (app.py:5)\n"
        "    ZeroDivisionError in the program or app.py\n"
    ) in capsys.readouterr().out


@pytest.mark.parametrize("where", ["folder", "port"])
def test_reset_forgets_the_assignment_and_the_errors(where, request, folder, capsys):
    target = str(request.getfixturevalue(where))
    assert main(["reset", target]) == 0
    assert not (folder / "state.json").exists()
    assert not (folder / "errors.json").exists()
    capsys.readouterr()
    assert main(["status", target]) == 0
    shown = capsys.readouterr().out
    assert "assigned: not yet" in shown
    assert "errors: none" in shown


def test_missing_port(capsys):
    assert main(["status", "/dev/no-such-port"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("microdps: cannot open /dev/no-such-port: there is no such port")
    assert "Traceback" not in shown


def test_broken_identity_is_reported_and_the_rest_is_shown(folder, capsys):
    (folder / "identity" / "a" / "cert.der").unlink()
    capsys.readouterr()
    assert main(["status", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "error: identity/a/cert.der: the file is missing" in shown
    assert "errors: 1" in shown
