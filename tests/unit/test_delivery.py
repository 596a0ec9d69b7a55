"""What waits is delivered in batches: what the hub has accepted leaves flash, and nothing else."""

import json
import os

from device_world import HUB, OK, answer, session
from harness import CLOSED, Peer, raised
from microdps.errors import OutcomeUnknown, ServiceError
from microdps.outbox.delivery import flush
from microdps.protocol import Assignment
from microdps.provisioning import assign
from outbox_world import (
    FOLDER,
    bodies,
    body,
    clean,
    content,
    filled,
    items,
    lines,
    outbox,
    requests,
)

BAD = answer(400, b'{"errorCode":400004,"message":"no","trackingId":"t"}')
LARGE = answer(413)


def device():
    made = session()
    assign(made, Assignment(HUB, "device-01", "assigned", "", None), True)
    return made


def sent(peer) -> list:
    return requests(b"".join(peer.sent))


def delivered(peer) -> list:
    return [[body(item) for item in json.loads(request[1])] for request in sent(peer)]


@clean
def test_hundred_messages_are_one_request():
    box = filled(100)
    peer = Peer([OK])
    assert peer.run(flush(device(), box)) == 100
    head, data = sent(peer)[0]
    assert len(sent(peer)) == 1
    assert head.startswith(b"POST /devices/device-01/messages/events?api-version=")
    assert b"\r\nContent-Type: application/vnd.microsoft.iothub.json\r\n" in head + b"\r\n"
    assert len(data) > 4096  # more than the buffer
    assert delivered(peer) == [["message %d" % number for number in range(100)]]
    assert os.listdir(FOLDER) == []
    assert peer.run(flush(device(), box)) == 0


@clean
def test_nothing_is_lost_or_repeated_under_another_id_if_the_hub_dies():
    box = filled(3)
    ids = [item["properties"]["iothub-messageid"] for item in items(box)]
    made = device()
    assert isinstance(raised(Peer([CLOSED]).run, flush(made, box)), OutcomeUnknown)
    assert bodies(outbox()) == ["message 0", "message 1", "message 2"]
    peer = Peer([OK])
    assert peer.run(flush(made, box)) == 3
    again = json.loads(sent(peer)[0][1])
    assert [item["properties"]["iothub-messageid"] for item in again] == ids


@clean
def test_hub_that_is_busy_is_asked_again():
    box = filled(3)
    peer = Peer([answer(429, b"", b"Retry-After: 7\r\n"), OK])
    assert peer.run(flush(device(), box)) == 3
    assert peer.slept == [7000]
    assert len(sent(peer)) == 2


@clean
def test_message_at_fault_is_found_and_set_aside():
    for fault in range(5):
        del lines[:]
        box = filled(5)
        made = device()
        peer = Peer(answers(fault, 5))
        assert peer.run(flush(made, box)) == 4
        accepted = [text for texts in good(peer, fault) for text in texts]
        assert accepted == ["message %d" % number for number in range(5) if number != fault]
        assert body(json.loads(content("refused"))) == "message %d" % fault
        assert "refused" in lines[-1] and "[HTTP 400" in lines[-1]
        assert os.listdir(FOLDER) == ["refused"]
        os.remove(FOLDER + "/refused")


def answers(fault, count):
    """What a hub answers that takes no batch with a message at fault in it."""
    found, first, most = [], 0, count
    while first < count:
        last = min(first + most, count)
        if first <= fault < last:
            found.append(BAD)
            most = (last - first) // 2
            if most == 0:
                first, most = last, count
        else:
            found.append(OK)
            first = last
    return found


def good(peer, fault):
    return [texts for texts in delivered(peer) if "message %d" % fault not in texts]


@clean
def test_message_that_is_too_large_for_a_hub_does_not_hold_up_the_others():
    box = filled(1)
    peer = Peer([LARGE])
    assert peer.run(flush(device(), box)) == 0
    assert os.listdir(FOLDER) == ["refused"]


@clean
def test_refusal_of_the_device_is_raised_and_all_goes_on_waiting():
    box = filled(2)
    unauthorized = answer(401, b'{"errorCode":401003,"message":"","trackingId":"t"}')
    refused = answer(401, b'{"errorCode":401002,"message":"","trackingId":"t"}')
    error = raised(Peer([unauthorized], [refused]).run, flush(device(), box))
    assert isinstance(error, ServiceError) and error.error_code == 401002
    assert bodies(box) == ["message 0", "message 1"]


@clean
def test_refusal_by_dps_is_no_fault_of_a_message():
    made = device()
    made.assignment = None
    box = filled(2)
    error = raised(Peer([BAD]).run, flush(made, box))
    assert isinstance(error, ServiceError) and error.status == 400
    assert bodies(box) == ["message 0", "message 1"]
    assert os.listdir(FOLDER) == ["0"]


@clean
def test_file_that_is_not_ours_ends_no_delivery():
    outbox("device-02").queue(b"not ours")
    box = outbox()
    assert Peer().run(flush(device(), box)) == 0
    assert os.listdir(FOLDER) == ["aside"]
    box.queue(b"ours")
    peer = Peer([OK])
    assert peer.run(flush(device(), box)) == 1
    assert delivered(peer) == [["ours"]]


@clean
def test_damaged_messages_are_reported_and_the_others_delivered():
    box = filled(3)
    with open(FOLDER + "/0", "rb") as file:
        whole = file.read()
    os.remove(FOLDER + "/0")
    with open(FOLDER + "/0", "wb") as file:
        file.write(whole[:60] + b"\x7f" + whole[61:])
    peer = Peer([OK])
    assert peer.run(flush(device(), box)) == 2
    assert box.damaged == 1
    assert delivered(peer) == [["message 1", "message 2"]]


@clean
def test_file_without_a_whole_message_needs_no_request():
    box = filled(1)
    whole = content("0")
    os.remove(FOLDER + "/0")
    with open(FOLDER + "/0", "wb") as file:
        file.write(whole[:-1])
    assert Peer().run(flush(device(), box)) == 0
    assert box.damaged == 1
    assert os.listdir(FOLDER) == []
