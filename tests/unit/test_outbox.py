"""Messages that wait on flash: none is lost, and what is damaged hurts no other."""

import os

from harness import raised
from microdps.outbox.batch import Batch
from microdps.outbox.files import OutboxError
from outbox_world import FOLDER, bodies, clean, content, items, lines, outbox, remove, replace

LARGE = b"x" * 800


@clean
def test_messages_come_back_after_a_restart_in_order():
    box = outbox()
    for number in range(30):
        box.queue(b"message %d" % number)
    assert bodies(outbox()) == ["message %d" % number for number in range(30)]


@clean
def test_nothing_waits_in_a_folder_that_is_not_there():
    box = outbox()
    assert box.first > box.last
    assert items(box) == []


@clean
def test_each_message_has_an_id_of_its_own():
    first, second = outbox(), outbox()
    first.queue(b"1")
    first.queue(b"2")
    second.queue(b"3")
    first.queue(b"4", None, {"message_id": "mine"})
    ids = [item["properties"]["iothub-messageid"] for item in items(outbox())]
    assert len(set(ids)) == 4
    assert ids[3] == "mine"
    run = first.session.run
    assert ids[0][:17] == ids[1][:17] == run + "-"
    assert len(run) == 16 and run != second.session.run


@clean
def test_properties_go_with_the_message():
    box = outbox()
    box.queue(b"{}", {"level": "3"}, {"content_type": "a/b", "message_id": "m"})
    given = items(box)[0]["properties"]
    del given["iothub-creationtimeutc"]
    assert given == {
        "iothub-app-level": "3",
        "iothub-contenttype": "a/b",
        "iothub-messageid": "m",
    }


@clean
def test_property_that_cannot_be_sent_is_refused():
    box = outbox()
    assert isinstance(raised(box.queue, b"", {"level": 3}), TypeError)
    assert isinstance(raised(box.queue, b"", {"": "x"}), ValueError)
    assert items(outbox()) == []


@clean
def test_file_is_no_longer_than_a_block():
    box = outbox()
    for _ in range(20):
        box.queue(LARGE)
    assert box.last == 4
    for number in range(5):
        assert 3600 < box.size(number) < 4096
    assert len(items(box)) == 20


@clean
def test_oldest_go_where_there_is_no_room_and_the_next_says_how_many():
    box = outbox(most=8192)
    for number in range(8):
        box.queue(b"%d" % number + LARGE)
    assert "outbox-dropped" not in str(items(box))
    box.queue(b"8" + LARGE)
    kept = items(box)
    assert [text[0] for text in bodies(box)] == ["4", "5", "6", "7", "8"]
    assert kept[-1]["properties"]["iothub-app-outbox-dropped"] == "4"
    box.queue(b"9")
    assert "outbox-dropped" not in str(items(box)[-1])
    assert sum([box.size(n) for n in range(box.first, box.last + 1)]) <= 8192


@clean
def test_the_new_ones_go_where_the_oldest_are_kept():
    box = outbox(most=4096, keep="oldest")
    for number in range(4):
        box.queue(b"%d" % number + LARGE)
    for _ in range(2):
        error = raised(box.queue, b"new" + LARGE)
        assert isinstance(error, OutboxError)
        assert error.args == ("outbox-full", FOLDER)
    assert [text[0] for text in bodies(box)] == ["0", "1", "2", "3"]
    batch = Batch(box, 1000)
    box.delivered(batch.number, batch.at)
    box.queue(b"room again")
    assert items(box)[0]["properties"]["iothub-app-outbox-dropped"] == "2"


@clean
def test_message_that_is_larger_than_the_outbox():
    box = outbox(most=1024)
    box.queue(b"small")
    assert raised(box.queue, LARGE + LARGE).args == ("outbox-full", FOLDER)
    assert bodies(box) == ["small"]


@clean
def test_flash_that_cannot_be_written():
    with open(FOLDER, "w") as file:
        file.write("no folder")
    try:
        error = raised(outbox().queue, b"lost")
    finally:
        os.remove(FOLDER)
    assert isinstance(error, OutboxError)
    assert error.args[0] == "outbox-flash"
    assert error.args[1].startswith(FOLDER + ": ")


def three():
    """Three messages in a file, and the places where each begins and ends."""
    box = outbox()
    places = [len(box.line)]
    for number in range(3):
        box.queue(b"message %d" % number)
        places.append(box.size(0))
    return content("0"), places


@clean
def test_each_truncation_leaves_the_messages_before_it():
    whole, places = three()
    for size in range(len(whole)):
        replace("0", whole[:size])
        box = outbox()
        expected = ["message %d" % n for n in range(3) if places[n + 1] <= size]
        assert bodies(box) == expected, size
        box.queue(b"next")  # behind what a power cut has left
        assert bodies(outbox()) == expected + ["next"], size
        remove()
        os.mkdir(FOLDER)


@clean
def test_each_flipped_bit_hurts_one_message_at_most():
    whole, places = three()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        replace("0", bytes(damaged))
        expected = ["message %d" % n for n in range(3) if not places[n] <= at < places[n + 1]]
        box = outbox()
        found = bodies(box)
        if at < places[0]:
            assert found == []
        else:
            assert found == expected, at
            assert box.damaged == 1 and "damaged" in lines[-1]


@clean
def test_what_is_damaged_is_gone_with_the_messages_around_it():
    whole, places = three()
    replace("0", whole[: places[1] + 3] + b"\x7f" + whole[places[1] + 4 :] + b"\x01\nrest")
    box = outbox()
    batch = Batch(box, 1000)
    assert batch.count == 2
    box.delivered(batch.number, batch.at)
    assert box.first > box.last
    assert os.listdir(FOLDER) == []


@clean
def test_file_of_another_device_or_format_is_set_aside():
    outbox("device-02").queue(b"not ours")
    foreign = content("0")
    box = outbox()
    assert items(box) == []
    box.queue(b"ours")
    assert bodies(box) == ["ours"]
    batch = Batch(box, 1000)
    box.delivered(batch.number, batch.at)
    assert os.listdir(FOLDER) == ["aside"]
    assert content("aside") == foreign
    remove()
    os.mkdir(FOLDER)
    with open(FOLDER + "/0", "wb") as file:
        file.write(foreign.replace(b"outbox 1", b"outbox 0"))
    box = outbox()
    assert items(box) == []
    box.remove()
    assert content("aside").startswith(b"microdps outbox 0")
    assert "not ours: now %s/aside" % FOLDER in lines[-1]


@clean
def test_part_that_is_delivered_is_not_seen_again():
    box = outbox()
    for number in range(3):
        box.queue(b"message %d" % number)
    batch = Batch(box, 2)
    box.delivered(batch.number, batch.at)
    assert bodies(box) == ["message 2"]
    box.queue(b"message 3")
    assert bodies(box) == ["message 2", "message 3"]
    batch = Batch(box, 1000)
    box.delivered(batch.number, batch.at)
    assert box.first > box.last
    box.queue(b"message 4")
    assert bodies(outbox()) == ["message 4"]
