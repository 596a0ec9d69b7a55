"""A device's life under a clock of its own: retries, refusals, unknown outcomes."""

import random

from harness import CLOSED, Idle, Peer, raised
from microdps.errors import Error, LinkError, OutcomeUnknown, ProtocolError, ServiceError
from microdps.provisioning import provision
from microdps.session import Session

DPS = "dps.example"
HUB = "hub.example"
DAY_MS = 24 * 60 * 60 * 1000


def answer(status, body=b"", fields=b""):
    head = b"HTTP/1.1 %d X\r\n" % status + fields
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def assigned(hub=HUB, device_id="device-01"):
    return answer(
        200,
        b'{"operationId":"o","status":"assigned","registrationState":{"assignedHub":"%s",'
        b'"deviceId":"%s","substatus":"initialAssignment"}}' % (hub.encode(), device_id.encode()),
    )


OK = answer(204)
UNAUTHORIZED = answer(401, b'{"errorCode":401003,"message":"Unauthorized","trackingId":"t"}')
QUOTA = answer(403, b'{"errorCode":403002,"message":"Quota","trackingId":"t"}')
NOT_ENROLLED = answer(401, b'{"errorCode":401002,"message":"no","trackingId":"t"}')


class World(Peer):
    """DPS and a hub that answer each request with the next item of a list, the last for ever.

    An exception is what the wait for the answer ends with: the request was written.
    """

    def __init__(self, dps, hub):
        Peer.__init__(self)
        self.answers = {DPS: list(dps), HUB: list(hub)}
        self.count = {DPS: 0, HUB: 0}
        self.first_day = 0  # registrations

    def connect(self):
        pass

    def do_send(self, buffer):
        answers = self.answers[self.host]
        self.items = [answers.pop(0) if len(answers) > 1 else answers[0]]
        self.count[self.host] += 1
        self.first_day += self.host == DPS and self.now < DAY_MS
        self.sent.append(bytes(buffer))
        del self.sent[:-9]  # a day is long

    def do_sleep(self, ms):
        Peer.do_sleep(self, ms)
        del self.slept[:-99]

    def do_recv(self, buffer):
        self.items = self.items or [CLOSED]  # behind a truncated answer
        return Peer.do_recv(self, buffer)


def session():
    random.seed(1)
    lines = []
    made = Session((DPS, "0ne1", "device-01"), 30_000, "https", lines.append)
    made.lines = lines
    return made


def send(world, device, data=b"{}"):
    return world.run(device.send(data))


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


def until_sent(world, device):
    """Call until the message is accepted, as a program does → the errors on the way."""
    errors = []
    while True:
        try:
            send(world, device)
            return errors
        except ServiceError as error:
            errors.append(error)


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
