"""An outbox in a folder of its own, and what it holds."""

import binascii
import json
import os

from device_world import DPS
from microdps.outbox.batch import Batch
from microdps.outbox.files import Outbox
from microdps.session import Session

FOLDER = "outbox-under-test"

lines = []  # what the outboxes of the running test have reported


def outbox(device="device-01", now=lambda: 5_000, **bounds):
    session = Session((DPS, "0ne1", device), 30_000, "https", lines.append, bytearray(64))
    return Outbox(FOLDER, session, now, **bounds)


def clean(test):
    """Delete the folder before and after a test."""

    def run():
        del lines[:]
        remove()
        try:
            test()
        finally:
            remove()

    return run


def remove():
    try:
        names = os.listdir(FOLDER)
    except OSError:
        return
    for name in names:
        os.remove(FOLDER + "/" + name)
    os.rmdir(FOLDER)


def text(batch) -> bytes:
    """The body of a batch, as it is sent with a buffer of 128 bytes."""
    view = memoryview(bytearray(128))
    made = b"".join([bytes(piece) for piece in batch.pieces(view)])
    assert len(made) == len(batch)
    return made


def items(box, most=1000) -> list:
    """What a hub gets of all messages that wait."""
    batch = Batch(box, most)
    return json.loads(text(batch)) if batch.count else []


def bodies(box) -> list:
    """The bodies of all messages that wait, as texts."""
    return [body(item) for item in items(box)]


def body(item: dict) -> str:
    if item.get("base64Encoded", True):
        return binascii.a2b_base64(item["body"].encode()).decode()
    return item["body"]


def content(name) -> bytes:
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


def replace(name, data: bytes):
    path = FOLDER + "/" + name
    try:
        os.remove(path)  # one that is replaced keeps its old content on 1.24's WebAssembly build
    except OSError:
        pass
    with open(path, "wb") as file:
        file.write(data)


def filled(count):
    """An outbox with so many messages, "message 0" and so on."""
    box = outbox()
    for number in range(count):
        box.queue(b"message %d" % number)
    return box


def requests(data: bytes) -> list:
    """The requests in what was sent → (head, body) of each."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        found.append((head, data[:length]))
        data = data[length:]
    return found
