"""Readings that a board keeps in its outbox: none is lost, and none holds up the others."""

import json
import os

from board_life import App, Life, Link
from board_world import Board
from device_world import HUB, OK, UNAUTHORIZED, answer
from harness import CLOSED
from outbox_world import FOLDER, body, clean, requests

BAD = answer(400, b'{"errorCode":400004,"message":"no","trackingId":"t"}')
NO_DPS = answer(401, b'{"errorCode":401002,"message":"no","trackingId":"t"}')


class Numbers:
    """An app whose readings are numbered."""

    def __init__(self):
        self.number = 0

    def read(self):
        self.number += 1
        return {"n": self.number}


class Hub(Link):
    """Keeps all requests to the hub."""

    def __init__(self, board, hub, dps=None):
        Link.__init__(self, board, hub, dps)
        self.all = []
        self.interrupted = False

    def do_send(self, buffer):
        if self.interrupted:
            raise KeyboardInterrupt
        if self.host == HUB:
            self.all.append(bytes(buffer))
        Link.do_send(self, buffer)

    def messages(self) -> list:
        """(n of the reading, message ID, in a batch?) of each message, as it was sent."""
        found = []
        for head, part in requests(b"".join(self.all)):
            if b"vnd.microsoft.iothub.json" in head:
                for item in json.loads(part):
                    number = json.loads(body(item))["n"]
                    found.append((number, item["properties"]["iothub-messageid"], True))
            else:
                name = head.split(b"iothub-messageid: ")[1].split(b"\r\n")[0].decode()
                found.append((json.loads(part)["n"], name, False))
        return found


def life(board, hub, which="on-failure", kb=64, dps=None, app=None):
    from microdps.program import board as module

    module.OUTBOX = FOLDER
    made = Life(board, app or Numbers(), Hub(board, hub, dps))
    made.cycle.outbox = which, kb, "newest"
    return made


@clean
def test_message_whose_outcome_is_unknown_is_sent_again_under_its_id():
    with Board() as board:
        made = life(board, [OK, CLOSED, OK])
        made.once(2)
        assert made.cycle.backlog and made.cycle.sent == 1
        made.once()
        _, first, second, again = made.link.messages()
        assert [first[0], second[0], again[0]] == [2, 3, 2]
        assert first[1] == again[1] != second[1]
        assert not first[2] and not second[2] and again[2]
        assert made.cycle.sent == 3 and not made.cycle.backlog
        assert os.listdir(FOLDER) == []


@clean
def test_readings_go_on_while_the_session_waits_and_all_arrive():
    with Board() as board:
        made = life(board, [OK, UNAUTHORIZED, OK], dps=[answer_of_dps(), NO_DPS, answer_of_dps()])
        for _ in range(30):
            made.once()
        assert made.app.number == 30
        assert board.now_ms == 30 * 60_000  # no interval was longer
        accepted = made.link.messages()[2:]
        numbers = sorted({message[0] for message in accepted} | {1})
        assert numbers == list(range(1, 31))
        assert len({message[1] for message in made.link.messages()}) == 30
        assert any(message[2] for message in accepted)


def answer_of_dps():
    from device_world import assigned

    return assigned()


@clean
def test_outage_is_followed_by_the_newest_reading_and_one_batch():
    from microdps.errors import LinkError

    with Board() as board:
        hub = [OK] + [LinkError("closed", HUB)] * 5 + [OK]
        made = life(board, hub)
        made.once(20)
        sent = made.link.messages()
        batches = [message for message in sent if message[2]]
        assert batches
        first = sent.index(batches[0])
        assert not sent[first - 1][2] and sent[first - 1][0] > batches[-1][0]
        assert sorted({message[0] for message in sent}) == list(range(1, 21))
        assert made.cycle.sent == 20


@clean
def test_always_keeps_each_reading_first():
    with Board() as board:
        made = life(board, [OK], "always")
        made.once(3)
        assert [message[0] for message in made.link.messages()] == [1, 2, 3]
        assert all(message[2] for message in made.link.messages())
        assert made.cycle.sent == 3
        assert os.listdir(FOLDER) == []


@clean
def test_without_an_outbox_nothing_is_kept():
    with Board() as board:
        made = Life(board, Numbers(), Link(board, [OK, CLOSED, OK]))
        made.once(3)
        assert made.cycle.sent == 2 and not made.cycle.backlog
        try:
            os.stat(FOLDER)
        except OSError:
            return
    raise AssertionError("there is an outbox")


@clean
def test_message_at_fault_is_not_kept():
    with Board() as board:
        made = life(board, [BAD, OK])
        made.once(2)
        assert [message[0] for message in made.link.messages()] == [1, 2]
        assert not made.cycle.backlog
        made = life(board, [OK], app=App({"n": float("nan")}, {"n": 2}))
        made.once(2)
        assert made.cycle.sent == 1 and not made.cycle.backlog


@clean
def test_where_there_is_no_room_it_is_counted_and_told():
    with Board() as board:
        long = {"n": 1, "text": "x" * 900}
        made = life(board, [OK, CLOSED], kb=4, app=App(long))
        made.once(10)
        assert made.cycle.lost == 6
        made.link.answers[HUB] = [OK]
        made.once(30)
        assert b'"iothub-app-outbox-dropped":"3"' in b"".join(made.link.all)
        assert made.cycle.untold == 0


@clean
def test_ctrl_c_keeps_the_reading_that_is_being_sent():
    with Board() as board:
        made = life(board, [OK])
        made.own.cycle = made.cycle
        made.link.interrupted = True
        try:
            made.once()
        except KeyboardInterrupt:
            from microdps.program.ending import stopped

            made.cycle.session.wait_ms = 0
            made.link.now = lambda: 0
            last = stopped(made.own)
        assert last["lost"] == 0
        assert made.cycle.backlog
