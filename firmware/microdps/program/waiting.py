"""Readings that wait in a board's outbox. Loaded when one is kept, and when they are delivered.

An outbox is made anew each time: what must last of it, the cycle has.
"""

from microdps.errors import Error
from microdps.program.board import OUTBOX
from microdps.protocol.body import encode


def outbox(cycle):
    """The microdps.outbox.Outbox of a cycle's board."""
    from microdps.outbox.files import Outbox

    _, kb, keep = cycle.outbox
    box = Outbox(OUTBOX, cycle.session, cycle.board.now, kb * 1024, keep)
    box.dropped = cycle.untold
    return box


def begin(cycle, data):
    """A reading was taken → what it is known by, if it is to be sent; None if it is kept instead.
    With "always" each is kept; else those that are taken while the session waits after an error.
    """
    from microdps.outbox.naming import named

    system = named(cycle.session)
    if cycle.outbox[0] == "always" or waits(cycle):
        keep(cycle, data, system)
        return None
    cycle.data = data, system
    return system


def keep(cycle, data, system):
    """Keep a reading. That there is no room for it, or for others, is reported and counted."""
    box = outbox(cycle)
    try:
        properties = cycle.properties()
        body = encode(data, properties, system)
        box.queue(body, properties, system)
        print("outbox: the message is kept")
    except Error as error:
        print("error:", error)
    cycle.lost += box.lost
    cycle.untold = box.dropped
    cycle.backlog = box.first <= box.last


def waits(cycle) -> bool:
    """Does the session wait after an error?"""
    from microdps.backoff import left_ms

    def left():
        return left_ms(cycle.session, (yield "now", None))

    return cycle.session.wait_ms > 0 and cycle.link.run(left()) > 0


def deliver(cycle, end: int):
    """Deliver what waits, batch by batch, until a moment of the board's now(): then the next
    reading is due. Raises as microdps.session.Session.send() does."""
    if waits(cycle):
        return
    cycle.ready()
    from microdps.outbox.delivery import Delivery

    box = outbox(cycle)
    delivery = Delivery(cycle.session, box)
    del Delivery
    count = 0
    while count is not None:
        count = cycle.run(delivery.step())
        if count:
            print("outbox: %d messages delivered" % count)
            cycle.accepted(count)
        cycle.backlog = box.first <= box.last
        if cycle.board.now() >= end:
            return
