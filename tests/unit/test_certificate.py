"""The validity, read from DER as RFC 5280 has it, and the days until then."""

import time

from harness import Random, raised
from microdps import certificate
from microdps.certificate import _day, days_left, seconds, validity, warning
from microdps.errors import IdentityError
from test_identity import der


def cert(*times, version=True):
    tbs = b""
    if version:
        tbs += der(0xA0, b"\x02\x01\x02")
    tbs += b"\x02\x08serialno"
    tbs += der(0x30, b"\x06\x01\x2a")
    tbs += der(0x30, b"issuer" * 30)
    tbs += der(0x30, b"".join(times))
    tbs += der(0x30, b"subject and more" * 20)
    return der(0x30, der(0x30, tbs) + b"signature")


EARLY = b"\x17\x0d200101000000Z"


def test_both_kinds_of_time():
    for last, text in (
        (b"\x17\x0d261124173026Z", "2026-11-24 17:30:26"),
        (b"\x17\x0d491231235959Z", "2049-12-31 23:59:59"),
        (b"\x17\x0d500101000000Z", "1950-01-01 00:00:00"),
        (b"\x18\x0f20500101000000Z", "2050-01-01 00:00:00"),
        (b"\x18\x0f99991231235959Z", "9999-12-31 23:59:59"),
    ):
        assert validity(cert(EARLY, last), "c") == ("2020-01-01 00:00:00", text)
        assert validity(cert(EARLY, last, version=False), "c")[1] == text


def test_what_is_no_validity():
    for times in (
        (),
        (EARLY,),
        (EARLY, b"\x17\x0d26112417302xZ"),
        (EARLY, b"\x17\x0d2611241730260"),
        (EARLY, b"\x17\x0b2611241730Z"),
        (EARLY, b"\x04\x0d261124173026Z"),
    ):
        error = raised(validity, cert(*times), "c")
        assert isinstance(error, IdentityError), times
        assert error.args == ("not-der", "c")


def test_every_truncation_is_an_error_of_ours():
    whole = cert(EARLY, b"\x17\x0d261124173026Z")
    for at in range(len(whole)):
        assert isinstance(raised(validity, whole[:at], "c"), IdentityError), at


def test_random_damage_ends_in_a_result_or_an_error_of_ours():
    random = Random(3)
    whole = cert(EARLY, b"\x17\x0d261124173026Z")
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(1 + random.below(4)):
            data[random.below(len(data))] = random.below(256)
        try:
            validity(bytes(data), "c")
        except IdentityError:
            pass


def test_days_follow_one_another():
    for before, after in (
        ((2026, 2, 28), (2026, 3, 1)),
        ((2028, 2, 29), (2028, 3, 1)),
        ((2099, 12, 31), (2100, 1, 1)),
        ((2100, 2, 28), (2100, 3, 1)),
        ((2026, 11, 30), (2026, 12, 1)),
    ):
        assert _day(*after) - _day(*before) == 1, before
    assert _day(2027, 11, 24) - _day(2026, 11, 24) == 365
    assert _day(2000, 3, 1) - _day(1970, 1, 1) == 11017


def test_warning_says_when():
    assert warning(seconds("2001-01-01 00:00:00")) == {"certificate": "expired 2001-01-01"}
    assert warning(int(time.time()) + 40)["certificate"] in [
        "expires %d-%02d-%02d" % tuple(time.gmtime(int(time.time()) + 40 - s)[:3]) for s in (0, 1)
    ]


def test_certificate_has_expired_in_the_second_that_it_names():
    class Clock:
        gmtime = time.gmtime

        @staticmethod
        def time():
            return 1_000_000_000

    certificate.time = Clock
    try:
        for expiry_s, said in ((999_999_999, "d"), (1_000_000_000, "d"), (1_000_000_001, "s")):
            (text,) = warning(expiry_s).values()
            assert text.split(" ")[0] == "expire" + said, expiry_s
    finally:
        certificate.time = time


def test_seconds_are_those_of_the_clock():
    now = time.gmtime()
    text = "%d-%02d-%02d %02d:%02d:%02d" % tuple(now[:6])
    assert 0 <= time.time() - seconds(text) < 3
    assert seconds("2028-03-01 00:00:00") - seconds("2028-02-28 23:59:59") == 86401


def test_days_left_are_counted_by_the_calendar():
    today = time.gmtime()[:3]
    for days in (-400, -1, 0, 1, 40, 400):
        year, month, day = time.gmtime(int(time.time()) + days * 86_400)[:3]
        if time.gmtime()[:3] == today:
            assert days_left("%d-%02d-%02d 00:00:00" % (year, month, day)) == days
