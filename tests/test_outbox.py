"""Messages that wait on flash, with a real hub: by HTTPS and MQTT, from a program and a board."""

import json
import re

import pytest

from helpers.board_folders import board_for
from helpers.programs import run_program
from microdps_tools import interpreter

MESSAGES = 100
APP = """
number = 0


def read():
    global number
    number += 1
    return {"i": number}
"""


@pytest.mark.parametrize("transport", ["https", "mqtt"])
@pytest.mark.parametrize("which", [interpreter.cpython(), interpreter.micropython("256k")])
def test_all_that_waits_is_delivered_in_order(simulator, which, request, tmp_path, transport):
    name = f"outbox-{abs(hash(request.node.name)) % 10**9}"
    arguments = (simulator.device(name), simulator.id_scope, name, simulator.dps)
    result = run_program(which, "outbox.py", *arguments, tmp_path / "outbox", transport, MESSAGES)
    assert f"delivered {MESSAGES}" in result.lines
    *queued, direct = simulator.messages(name)
    assert [properties["iothub-app-n"] for properties, _ in queued] == list(
        map(str, range(MESSAGES))
    )
    assert queued[1][1] == b"\xff" * 10
    assert json.loads(queued[7][1]) == {"i": 7}
    assert json.loads(direct[1]) == {"i": "direct"}
    assert len({properties["iothub-messageid"] for properties, _ in queued}) == MESSAGES
    for properties, _ in queued:
        time = properties["iothub-creationtimeutc"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)
    posts = sum(line.startswith("POST ") for line in result.lines)
    assert posts == (2 if transport == "https" else 0)
    assert list((tmp_path / "outbox").iterdir()) == []


def test_board_loses_nothing_when_answers_are_lost(simulator, request, tmp_path):
    answers_are_lost(board_for(request, simulator, tmp_path), "on-failure")


def test_board_that_keeps_all_first_loses_nothing(simulator, request, tmp_path):
    answers_are_lost(board_for(request, simulator, tmp_path), "always")


def answers_are_lost(board, outbox):
    simulator = board.simulator
    (board.folder / "app.py").write_text(APP)
    board.configure(outbox=outbox, messages=8, interval_s=0.2)
    with simulator.faults(f"hub:drop=0,skip=2,times=2,path=/{board.name}/") as times:
        shown = board.boot()
        assert times() == [2]
    assert "done: " in shown, shown
    accepted = [
        (json.loads(body)["i"], properties["iothub-messageid"])
        for properties, body in simulator.messages(board.name)
    ]
    numbers = [number for number, _ in accepted]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert len(numbers) > len(set(numbers))  # the hub had taken what was sent again …
    assert len(set(accepted)) == len(set(numbers))  # … and knows it by its ID


def test_board_that_is_restarted_delivers_what_it_kept(simulator, request, tmp_path):
    board = board_for(request, simulator, tmp_path)
    (board.folder / "app.py").write_text(APP)
    board.configure(outbox="on-failure", messages=0, interval_s=0.2)
    fault = f"hub:status=429,retry-after=300,path=/{board.name}/"
    kept = 0
    with simulator.faults(fault), board.start() as process:
        for line in process.stdout:
            kept += "outbox: the message is kept" in line
            if kept == 3:
                break
        process.kill()  # the power is cut
    assert kept == 3
    assert simulator.messages(board.name) == []
    shown = board.until("messages delivered")
    assert "outbox: 3 messages delivered" in shown
    numbers = [json.loads(body)["i"] for _, body in simulator.messages(board.name)]
    assert sorted(numbers)[:2] == [1, 1]  # of both runs
    assert {2, 3} <= set(numbers)
