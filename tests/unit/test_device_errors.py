"""What a device does when a service is busy, or a connection breaks."""

from device_world import (
    DAY_MS,
    DPS,
    HUB,
    OK,
    UNAUTHORIZED,
    World,
    answer,
    assigned,
    send,
    session,
    until_sent,
)
from harness import CLOSED, Idle, raised
from microdps.errors import LinkError, OutcomeUnknown, ProtocolError, ServiceError
from microdps.provisioning import provision


def test_ten_failures_in_a_row_register_anew():
    world = World([assigned()], [OK] + [answer(503)] * 10 + [OK])
    device = session()
    send(world, device)
    until_sent(world, device)
    assert world.count == {DPS: 2, HUB: 12}
    world = World([assigned()], [OK] + [answer(503)] * 9 + [OK])
    device = session()
    send(world, device)
    until_sent(world, device)
    assert world.count == {DPS: 1, HUB: 11}


def test_call_tries_for_a_minute_and_the_next_goes_on_from_there():
    world = World([assigned()], [OK, answer(503)])
    device = session()
    send(world, device)
    start = world.now
    assert raised(send, world, device).status == 503
    assert world.now - start <= 60_000
    tries = world.count[HUB]
    world.answers[HUB] = [OK]
    send(world, device)
    assert world.count[HUB] == tries + 1


def test_asked_to_wait_longer_than_a_minute_the_caller_is_told_and_the_next_call_waits():
    world = World([assigned()], [OK, answer(503, b"", b"Retry-After: 300\r\n"), OK])
    device = session()
    send(world, device)
    assert raised(send, world, device).retry_s == 300
    assert world.slept == []
    send(world, device)
    assert world.slept == [300_000]


def test_hub_that_is_always_busy_is_not_registered_for_all_the_time():
    world = World([assigned()], [OK, answer(503)])
    device = session()
    device.say = None
    while world.now < DAY_MS:
        try:
            send(world, device)
        except ServiceError:
            world.now += 1000
    # Ten failures in a row, at some 150 s each on average.
    assert 5 < world.count[DPS] < 80


def test_failed_and_disabled_are_final_and_say_why():
    for status, message in ((b"failed", "because"), (b"disabled", "")):
        body = b'{"operationId":"o","status":"%s","registrationState":{"errorMessage":"%s"}}' % (
            status,
            message.encode(),
        )
        world = World([answer(200, body)], [OK])
        error = raised(send, world, session())
        assert error.args[0] == status.decode()
        assert error.message == message
        assert world.count[DPS] == 1
        assert world.slept == []


def test_dps_that_is_busy_is_asked_again_within_a_minute():
    world = World([answer(429), answer(503), assigned()], [OK])
    send(world, session())
    assert world.count == {DPS: 3, HUB: 1}
    assert min(world.slept) >= 5000
    world = World([answer(503)], [OK])
    start = world.now
    assert raised(send, world, session()).status == 503
    assert world.now - start <= 60_000
    assert 3 <= world.count[DPS] <= 12


def test_registration_that_breaks_is_told_at_once_and_the_next_call_waits_a_little():
    for item in (LinkError("closed", DPS), b"<html>\r\n", answer(200, b"[]")):
        world = World([item], [OK])
        device = session()
        errors = [raised(send, world, device) for _ in range(8)]
        assert world.count[DPS] == 8
        assert all(isinstance(error, (LinkError, ProtocolError)) for error in errors)
        assert len(world.slept) <= 7
        assert sum(world.slept) <= 1000 * (2**7 - 1)


def test_message_that_was_written_and_not_answered_has_an_unknown_outcome():
    for item in (CLOSED, LinkError("closed", HUB), b"garbage\r\n", b"HTTP/1.1 204 No"):
        world = World([assigned()], [OK])
        device = session()
        send(world, device)
        world.answers[HUB] = [item]
        error = raised(send, world, device)
        assert isinstance(error, OutcomeUnknown), item
        assert world.count == {DPS: 1, HUB: 2}
        assert world.slept == []


def test_hub_that_breaks_off_ten_times_in_a_row_is_registered_for_anew_and_doubted():
    world = World([assigned()], [OK, LinkError("closed", HUB)])
    device = session()
    send(world, device)
    for _ in range(10):
        assert isinstance(raised(send, world, device), OutcomeUnknown)
    assert world.count[DPS] == 1 and not device.proven
    raised(send, world, device)
    assert world.count[DPS] == 2


def test_message_that_was_not_written_is_sent_again():
    world = World([assigned()], [OK])
    device = session()
    send(world, device)
    opens = [LinkError("dns", HUB), LinkError("connect", HUB), LinkError("timeout-connect", HUB)]

    def failing():
        if opens:
            raise opens.pop(0)

    world.connect = failing
    world.items = [Idle()]
    send(world, device)
    assert world.count == {DPS: 1, HUB: 2}
    assert len(world.slept) == 3


def test_connection_that_was_closed_while_idle_is_noticed_before_writing():
    world = World([assigned()], [OK])
    device = session()
    send(world, device)
    world.items = [Idle()]
    send(world, device)
    assert world.count == {DPS: 1, HUB: 2}
    assert world.opened == [DPS, HUB, HUB]


def test_hub_that_asks_late_is_told_apart():
    for code in ("alert", "closed"):
        world = World([assigned()], [LinkError(code, HUB)])
        device = session()
        assert raised(send, world, device).args == ("late-certificate", HUB)


def test_proven_hub_that_breaks_off_does_not_ask_late():
    world = World([assigned()], [OK, LinkError("alert", HUB)])
    device = session()
    send(world, device)
    assert isinstance(raised(send, world, device), OutcomeUnknown)


def test_proven_hub_stays_proven_when_dps_assigns_it_again():
    world = World([assigned()], [OK, UNAUTHORIZED, LinkError("closed", HUB)])
    device = session()
    send(world, device)
    assert isinstance(raised(send, world, device), OutcomeUnknown)
    world = World([assigned(hub="hub.example:2")], [LinkError("closed", HUB)])
    for names in (world.answers, world.count):
        names[HUB + ":2"] = names[HUB]
    device.assignment = None
    assert raised(send, world, device).args[0] == "late-certificate"


def test_waits_and_retries_are_told():
    world = World([assigned()], [OK, answer(503), UNAUTHORIZED, OK])
    device = session()
    send(world, device)
    send(world, device)
    told = [line for line in device.lines if line[:3] not in ("PUT", "POS")]
    assert len(told) == 2
    assert told[0].startswith("again in ")
    assert told[1].startswith("registering again: hub.example: ")


def test_data_that_cannot_be_sent_is_a_bad_argument_and_nothing_is_sent():
    world = World([assigned()], [OK])
    error = raised(send, world, session(), 30)
    assert isinstance(error, TypeError)
    assert world.count[HUB] == 0


def test_properties_are_header_lines_of_the_message():
    world = World([assigned()], [OK])
    world.run(session().send(b"{}", {"alert": "true"}))
    assert b"utf-8\r\niothub-app-alert: true\r\nContent-Length: 2\r\n\r\n{}" in world.sent[1]


def test_payload_goes_to_dps_and_comes_back():
    body = (
        assigned()
        .split(b"\r\n\r\n")[1]
        .replace(b'"substatus"', b'"payload":{"site":"north"},"substatus"')
    )
    world = World([answer(200, body)], [OK])
    device = session()
    device.payload = {"model": "x1"}
    assert world.run(provision(device)).payload == {"site": "north"}
    assert b'"payload": {"model": "x1"}' in world.sent[0]
