"""What a device does when DPS or the hub refuses it, and what a day of that costs."""

from device_world import (
    DAY_MS,
    DPS,
    HUB,
    NOT_ENROLLED,
    OK,
    QUOTA,
    UNAUTHORIZED,
    World,
    answer,
    assigned,
    send,
    session,
)
from harness import raised
from microdps.device import Device
from microdps.errors import Error, LinkError, ServiceError
from microdps.provisioning import provision
from microdps.session import Session
from microdps.state import forget


def test_first_send_provisions_and_the_next_do_not():
    world = World([assigned()], [OK])
    device = session()
    for _ in range(5):
        send(world, device)
    assert world.count == {DPS: 1, HUB: 5}
    assert world.opened == [DPS, HUB]


def test_hub_that_is_busy_gets_the_message_again_after_retry_after():
    world = World([assigned()], [answer(503, b"", b"Retry-After: 7\r\n"), answer(429), OK])
    device = session()
    send(world, device)
    assert world.count == {DPS: 1, HUB: 3}
    assert world.slept[0] == 7000
    assert 0 <= world.slept[1] <= 2000


def test_hub_that_refuses_is_left_for_a_new_registration():
    for refusal in (UNAUTHORIZED, answer(403), answer(404)):
        world = World([assigned()], [OK, refusal, OK])
        device = session()
        send(world, device)
        send(world, device)
        assert world.count == {DPS: 2, HUB: 3}
        assert world.slept == []


def test_second_refusal_reaches_the_caller_and_the_next_call_waits():
    world = World([assigned()], [OK, UNAUTHORIZED])
    device = session()
    send(world, device)
    error = raised(send, world, device)
    assert isinstance(error, ServiceError)
    assert error.args[0] == 401003
    assert world.count == {DPS: 2, HUB: 3}
    assert world.slept == []
    raised(send, world, device)
    assert world.slept == [60_000]
    raised(send, world, device)
    assert world.slept == [60_000, 120_000]


def test_refusal_right_after_a_registration_is_not_answered_by_another():
    world = World([assigned()], [UNAUTHORIZED])
    raised(send, world, session())
    assert world.count == {DPS: 1, HUB: 1}


def test_hub_that_always_refuses_costs_at_most_twelve_registrations_a_day():
    world = World([assigned()], [UNAUTHORIZED])
    device = session()
    while world.now < DAY_MS:
        raised(send, world, device)
        world.now += 1000  # the program's own interval
    assert 5 <= world.count[DPS] <= 12


def test_registration_that_is_always_refused_is_rare_too():
    world = World([NOT_ENROLLED], [OK])
    device = session()
    while world.now < DAY_MS:
        error = raised(send, world, device)
        assert error.args[0] == 401002
        world.now += 1000
    assert world.count[DPS] <= 12


def test_refusals_are_remembered_until_a_day_of_accepted_messages():
    world = World([assigned()], [UNAUTHORIZED, OK, UNAUTHORIZED])
    device = session()
    raised(send, world, device)
    send(world, device)
    raised(send, world, device)
    raised(send, world, device)
    assert world.slept == [60_000, 120_000]
    world.answers[HUB] = [OK] * 3 + [UNAUTHORIZED]
    for _ in range(3):
        send(world, device)
        world.now += DAY_MS // 2 + 1
    del world.slept[:]
    raised(send, world, device)
    raised(send, world, device)
    assert world.slept == [60_000]


def test_refusals_are_forgotten_after_more_than_a_day_of_accepted_messages():
    for refusals, renewed in ((3, False), (0, True), (3, True)):
        world = World([assigned()], [OK])
        device = session()
        send(world, device)
        device.refusals, device.renewed = refusals, renewed
        send(world, device)
        device.changed = False
        begin = world.now
        for after_ms, forgotten in ((DAY_MS, False), (DAY_MS + 1, True)):
            world.now = begin + after_ms
            send(world, device)
            assert (device.refusals, device.renewed) == (
                (0, False) if forgotten else (refusals, renewed)
            )
            assert device.changed == forgotten


def test_what_a_registration_or_a_first_message_changes_is_to_be_kept():
    world = World([assigned()], [OK])
    device = session()
    assert not device.changed
    assert world.run(provision(device)).hub == HUB
    assert device.changed and not device.proven
    for changed in (True, False):  # the first one proves the hub
        device.changed = False
        send(world, device)
        assert device.changed == changed and device.proven


def test_device_without_refusals_does_not_look_at_the_clock():
    world = World([assigned()], [OK])
    device = session()
    for _ in range(3):
        send(world, device)
    assert device.good_ms is None


def test_buffer_of_a_session_is_4096_bytes_or_one_that_is_given():
    made = Session((DPS, "0ne1", "d"), 1000)
    assert len(made.buf) == len(made.view) == 4096
    buf = bytearray(64)
    assert Session((DPS, "0ne1", "d"), 1000, buf=buf).buf is buf


def test_hub_costs_a_device_twelve_registrations_a_day_whatever_it_answers():
    """Also if it accepts a message now and then, by each of the ways in which it can refuse."""
    busy, odd = answer(503), b"no HTTP\r\n"
    for hub in (
        [UNAUTHORIZED],
        [OK, UNAUTHORIZED],
        [OK, OK, answer(404)],
        [OK, busy],
        [OK] + [busy] * 10,
        [OK] + [odd] * 10,
        [OK, odd, UNAUTHORIZED],
        [odd],
        [LinkError("closed", HUB)],
        [OK, LinkError("alert", HUB), answer(403)],
    ):
        world = World([assigned()], hub)
        device = session()
        device.say = None
        calls = failed = 0
        while world.now < DAY_MS:
            if len(world.answers[HUB]) == 1:
                world.answers[HUB] = list(hub)
            exchanges = world.count[HUB]
            accepted = False
            try:
                send(world, device)
                accepted = True
            except Error:
                pass
            failed += world.count[HUB] - exchanges - accepted
            calls += 1
            world.now += 1000
        assert world.first_day <= 12, (hub, world.count)
        assert failed <= DAY_MS // 60_000 + 11, (hub, failed)
        assert calls >= 12, hub


def test_quota_waits_without_registering():
    world = World([assigned()], [OK, QUOTA, OK])
    device = session()
    send(world, device)
    assert raised(send, world, device).error_code == 403002
    send(world, device)
    assert world.count == {DPS: 1, HUB: 3}
    assert world.slept == [60_000]


def test_message_that_is_at_fault_is_the_callers():
    for status in (400, 413, 415):
        world = World([assigned()], [answer(status), OK])
        device = session()
        assert raised(send, world, device).status == status
        send(world, device)
        assert world.count == {DPS: 1, HUB: 2}
        assert world.slept == []


class Driven(Device):
    """A device whose driver is a scripted peer."""

    def _driver(self, identity, feed):
        return identity


def test_device_joins_session_driver_and_state_file():
    path = "state-of-a-device.json"
    forget(path)
    try:
        world = World([assigned()], [OK])
        device = Driven(world, "0ne1", "device-01", DPS, transport="https", state=path)
        assert device.session.timeout_ms == 30_000
        device.send({})
        assert device.assignment.hub == HUB
        again = Driven(world, "0ne1", "device-01", DPS, transport="https", state=path)
        assert again.assignment.hub == HUB
        again.send({})
        assert world.count[DPS] == 1
        again.forget()
        assert again.assignment is None
        assert Driven(world, "0ne1", "device-01", DPS, state=path).assignment is None
        assert again.provision().hub == HUB and world.count[DPS] == 2
    finally:
        forget(path)


def test_device_writes_its_state_when_there_is_more_to_keep_and_a_file_for_it():
    from microdps import state

    kept = []
    before = state.keep
    state.keep = lambda path, session: kept.append(path)
    try:
        for path, written in ((None, []), ("unwritten.json", ["unwritten.json"])):
            world = World([assigned()], [OK])
            device = Driven(world, "0ne1", "device-01", DPS, transport="https", state=path)
            del kept[:]
            device.send({})
            assert kept == written
            device.session.changed = False
            device.send({})
            assert kept == written
    finally:
        state.keep = before
