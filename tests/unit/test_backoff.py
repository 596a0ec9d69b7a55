"""The table of microdps.backoff, row by row, and the waits."""

from microdps import backoff
from microdps.errors import LinkError, ProtocolError
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
