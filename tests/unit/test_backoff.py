"""The table of microdps.backoff, row by row, and the waits."""

from device_world import (
    DPS,
    HUB,
    NOT_ENROLLED,
    OK,
    UNAUTHORIZED,
    World,
    answer,
    assigned,
    send,
    session,
)
from harness import raised
from microdps import backoff
from microdps.errors import LinkError, ProtocolError, ServiceError
from microdps.protocol import service_error as service

DAY_MS = 24 * 60 * 60 * 1000


def answered(status, code=None, retry_s=0):
    return service.error(code or status, "there", status, code, "", "", retry_s)


def test_steps_after_a_registration():
    for error, step in (
        (answered(429), "again"),
        (answered(500), "again"),
        (answered(503), "again"),
        (service.error("deadline", "dps", 202, None, "assigning", ""), "again"),
        (LinkError("dns", "dps"), "again"),
        (LinkError("closed", "dps"), "again"),
        (ProtocolError("json", "dps"), "again"),
        (service.error("failed", "dps", 200, 400207, "", ""), "final"),
        (service.error("disabled", "dps", 200, None, "", ""), "final"),
        (answered(400, 400004), "wait"),
        (answered(401, 401002), "wait"),
        (answered(403), "wait"),
        (answered(404, 404201), "wait"),
        (answered(409, 409203), "wait"),
        (answered(302), "wait"),
    ):
        assert backoff.dps_step(error) == step, error.args


def test_steps_after_a_message():
    for error, step in (
        (answered(408), "again"),
        (answered(429, 429001), "again"),
        (answered(500), "again"),
        (answered(503, 503001), "again"),
        (answered(403, 403002), "wait"),
        (answered(403, "IotHubQuotaExceeded"), "wait"),
        (answered(401, 401003), "register"),
        (answered(403, 403012), "register"),
        (answered(404, 404001), "register"),
        (answered(400), "final"),
        (answered(405), "final"),
        (answered(413, 413001), "final"),
        (answered(415), "final"),
        (answered(302), "final"),
    ):
        assert backoff.hub_step(error) == step, error.args


def test_retry_after_is_honoured_within_bounds():
    for retry_s, ms in ((1, 1000), (3, 3000), (300, 300_000), (301, 300_000), (86400, 300_000)):
        for failures in (1, 10):
            assert backoff.delay_ms(failures, answered(429, None, retry_s)) == ms
            assert backoff.dps_delay_ms(failures, answered(429, None, retry_s)) == ms


def test_back_off_doubles_up_to_five_minutes_with_full_jitter():
    for failures, most in ((1, 1000), (2, 2000), (5, 16_000), (9, 256_000), (10, 300_000)):
        waits = [backoff.delay_ms(failures, LinkError("dns", "x")) for _ in range(300)]
        assert 0 <= min(waits) < most / 8
        assert most * 7 / 8 < max(waits) <= most
        assert len(set(waits)) > 100
    assert backoff.delay_ms(1000, LinkError("dns", "x")) <= 300_000


def test_dps_with_an_error_of_its_own_is_left_alone_for_five_seconds():
    waits = [backoff.dps_delay_ms(1, answered(503)) for _ in range(50)]
    assert min(waits) == 5000
    assert min(backoff.dps_delay_ms(1, LinkError("dns", "x")) for _ in range(50)) < 1000


def test_refusals_wait_a_minute_doubling_to_a_day():
    waits = [backoff.refused_ms(n) for n in range(1, 20)]
    assert waits[:5] == [60_000, 120_000, 240_000, 480_000, 960_000]
    assert waits[10] == 1024 * 60_000
    assert waits[11:] == [DAY_MS] * 8


class Chance:
    """The module random, which always says the same, if that is not too much."""

    def __init__(self, said):
        self.said = said

    def randrange(self, n):
        return min(self.said, n - 1)


MOST = Chance(2**30)
LEAST = Chance(0)


def by(chance, function, *arguments):
    """Call a function while chance is no chance."""
    before = backoff.random
    backoff.random = chance
    try:
        return function(*arguments)
    finally:
        backoff.random = before


def test_longest_and_shortest_wait_after_so_many_failures():
    error = LinkError("dns", "x")
    for failures, most in (
        (1, 1000),
        (2, 2000),
        (3, 4000),
        (9, 256_000),
        (10, 300_000),
        (11, 300_000),
        (99, 300_000),
    ):
        assert by(MOST, backoff.delay_ms, failures, error) == most, failures
        assert by(LEAST, backoff.delay_ms, failures, error) == 0
    assert by(LEAST, backoff.dps_delay_ms, 1, answered(503)) == 5000
    assert by(MOST, backoff.dps_delay_ms, 3, answered(503)) == 5000
    assert by(MOST, backoff.dps_delay_ms, 4, answered(503)) == 8000


def test_exchanges_that_fail_are_a_minute_apart_after_the_first_ten():
    world = World([LinkError("closed", DPS)], [OK])
    device = session()
    for _ in range(13):
        by(LEAST, raised, send, world, device)
    assert world.slept == [60_000, 60_000]
    world.now += 10_000_000  # no more than ten are paid for
    for _ in range(11):
        by(LEAST, raised, send, world, device)
    assert world.slept == [60_000, 60_000]
    by(LEAST, raised, send, world, device)
    assert world.slept == [60_000, 60_000, 60_000]


def test_call_waits_as_long_as_its_patience_and_no_longer():
    for retry_s, tries in ((60, 2), (61, 1)):
        world = World([assigned()], [answer(503, b"", b"Retry-After: %d\r\n" % retry_s), OK])
        device = session()
        if tries == 2:
            send(world, device)
        else:
            assert raised(send, world, device).retry_s == retry_s
        assert world.count[HUB] == tries


def test_wait_within_a_call_is_told_in_seconds_rounded_up():
    for ms, told in ((1000, 1), (1001, 2), (1999, 2), (2000, 2)):
        world = World([assigned()], [answer(503), answer(503), OK])
        device = session()
        by(Chance(ms), send, world, device)
        (_, second) = [line for line in device.lines if line[:5] == "again"]
        assert second.startswith("again in %d s: hub.example: " % told), second
        assert world.slept == [1000, ms]


def test_message_that_is_at_fault_counts_as_an_exchange_that_failed():
    world = World([assigned()], [answer(400)])
    device = session()
    for _ in range(13):
        raised(send, world, device)
    assert world.slept == [60_000, 60_000] and world.count[DPS] == 1


def test_wait_is_told_if_it_is_longer_than_a_second():
    for ms, lines in ((1000, []), (1001, ["1"]), (1999, ["1"]), (90_000, ["90"])):
        world = World([assigned()], [OK])
        device = session()
        backoff.later(device, world.now, ms)
        send(world, device)
        assert world.slept == [ms]
        told = [line for line in device.lines if line[:7] == "waiting"]
        assert told == ["waiting %s s, after the last error" % n for n in lines]
        send(world, device)
        assert world.slept == [ms]


def test_wait_that_is_over_or_lies_behind_a_clock_that_went_back_is_none():
    for past, left in ((0, 500), (499, 1), (500, 0), (501, 0), (-1, 0)):
        device = session()
        backoff.later(device, 7000, 500)
        assert backoff.left_ms(device, 7000 + past) == left, past


def test_refusal_of_dps_waits_a_minute_and_a_final_one_a_day():
    failed = answer(200, b'{"operationId":"o","status":"failed","registrationState":{}}')
    for refusal, ms, refusals in ((NOT_ENROLLED, 60_000, 1), (failed, DAY_MS, 12)):
        world = World([refusal, assigned()], [OK])
        device = session()
        device.good_ms = 5
        assert isinstance(raised(send, world, device), ServiceError)
        assert device.changed and device.good_ms is None
        assert world.slept == []
        send(world, device)
        assert world.slept == [ms] and device.refusals == refusals
    assert backoff.refused_ms(11) < DAY_MS == backoff.refused_ms(12)


def test_registration_that_takes_too_long_is_told_at_once():
    world = World([answer(202, b'{"operationId":"o","status":"assigning"}')], [OK])
    error = raised(send, world, session())
    assert (error.args[0], error.status) == ("deadline", 202)
    assert world.count[HUB] == 0 and world.now <= 1000 + 30_000


def test_assignment_that_is_given_up_is_to_be_kept():
    world = World([assigned(), LinkError("closed", DPS)], [OK, UNAUTHORIZED])
    device = session()
    send(world, device)
    device.changed = False
    assert isinstance(raised(send, world, device), LinkError)
    assert device.assignment is None and device.changed and device.renewed
