"""A board with version 0.1.0 gets today's program, and keeps its state, identity and slots.

The tests write the files as 0.1.0 left them: its modules lay beside each other in microdps/.
"""

import datetime
import json
import shutil
import zlib
from pathlib import Path

import pytest

from helpers.small_programs import small
from helpers.virtual_boards import configure
from microdps_tools.certs.making import issue
from microdps_tools.device.program import digest, manifest

START = {
    "boot.py": "import sys\nsys.path.insert(0, '/program/' + open('/program/use').read(1))\n",
    "main.py": "from microdps import board, program\nprogram.run()\n",
}
APP = "def read():\n    return {'my': 'sensor'}\n"
STATUS = b"def show():\n    print('status of 0.1.0')\n"
ERROR = {
    "utc": "2026-11-20 03:00:00",
    "code": 401002,
    "where": "dps",
    "tracking_id": "8ad0463c",
    "count": 3,
    "free": 20480,
    "idf_free": 71000,
}


def write_files(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def state_file(simulator, name: str, **kept) -> str:
    """The state of a device that has sent messages: the CRC-32 of the JSON, then the JSON."""
    state = {"hub": simulator.hub, "device_id": name, "proven": True}
    state |= {"substatus": "initialAssignment", **kept}
    state["owner"] = f"{simulator.id_scope}/{name}@{simulator.dps}"
    text = json.dumps(state)
    return f"{zlib.crc32(text.encode()):08x} {text}"


def device_with_slot_b(folder: Path, simulator, name: str) -> None:
    """A device's folder. Its certificate in slot b is newer than the one in slot a."""
    configure(folder, simulator, name)
    start = datetime.datetime.now(datetime.UTC)
    pair = issue(name, simulator.intermediate, start=start)
    made = simulator.write_identity(f"{name}-b", pair, [simulator.intermediate.cert])
    shutil.copytree(made, folder / "identity" / "b")


def older(board, folder: Path, program_slot: str) -> None:
    """Put a program of 0.1.0 and a device's folder onto a board. "": the program is in no slot."""
    program = small(1, status=STATUS)
    start = dict(START)
    if program_slot:
        digests = {name: digest(content) for name, content in program.items()}
        files = program | {"manifest": manifest(digests)}
        write_files(folder / "program" / program_slot, files)
        (folder / "program" / "use").write_text(program_slot)
    else:
        write_files(folder, program)
        del start["boot.py"]
    errors = json.dumps([ERROR])
    write_files(folder, {**start, "app.py": APP, "errors.json": errors})
    board.copy(folder, *sorted(path.name for path in folder.iterdir()))
    assert "version 1 runs" in board.until("version 1 runs", reset=True)


@pytest.mark.parametrize("program_slot", ["b", "a", ""])
def test_board_goes_on_without_a_registration(
    simulator, command, board, tmp_path, micropython, program_slot
):
    name = f"older-{program_slot or 'unslotted'}"
    folder = tmp_path / "device"
    device_with_slot_b(folder, simulator, name)
    identity = folder / "identity" / "b"
    assert simulator.provision(micropython, identity, name).lines[-1] == "sent 1"
    kept = {"slot": "b", "refused": None}
    (folder / "state.json").write_text(state_file(simulator, name, **kept))
    older(board, folder, program_slot)
    assert command("deploy", board.port).code == 0
    shown = board.until("messages sent")
    slot = "b" if program_slot == "a" else "a"
    assert f"program: the one in slot {slot} stays in use" in shown
    assert "done: 3 messages sent" in shown
    assert "register" not in shown and "error" not in shown and "trying" not in shown
    assert json.loads(simulator.messages(name)[-1][1]) == {"my": "sensor"}
    shown = command("status", board.port).out
    assert f"assigned to {simulator.hub} as {name}" in shown
    assert "days, in slot b\n" in shown
    for text in ("2026-11-20 03:00:00 UTC", "401002", "8ad0463c", "3 times"):
        assert text in shown


def test_hub_that_needs_mqtt_is_remembered(late_simulator, command, board, tmp_path, micropython):
    simulator, name, folder = late_simulator, "older-mqtt", tmp_path / "device"
    configure(folder, simulator, name)
    identity = folder / "identity" / "a"
    assert simulator.provision(micropython, identity, name).lines[-1] == "sent 1"
    (folder / "state.json").write_text(state_file(simulator, name, transport="mqtt"))
    older(board, folder, "a")
    assert command("deploy", board.port).code == 0
    shown = board.until("messages sent")
    assert "done: 3 messages sent" in shown
    assert "register" not in shown and "asks for the certificate late" not in shown


@pytest.mark.parametrize("program_slot", ["b", ""])
def test_board_goes_back_to_the_older_program(command, board, tmp_path, program_slot):
    folder = tmp_path / "device"
    folder.mkdir()
    older(board, folder, program_slot)
    assert command("status", board.port).out.startswith("status of 0.1.0\n")
    assert command("deploy", board.port).code == 0
    back = program_slot or "."
    assert board.mpremote("resume", "cat", ":program/use")[0::2] == f"a{back}"
    # As after three starts without a message.
    board.mpremote("resume", "exec", f"with open('/program/use', 'w') as f: f.write('a0{back}')")
    shown = board.until("version 1 runs", reset=True)
    assert f"sent no message: back to {back}" in shown
    assert "version 1 runs" in board.until("version 1 runs", reset=True)
