"""When a certificate expires: the one thing that the device reads in its own. Loaded on use.

Source: RFC 5280, 4.1: Certificate, TBSCertificate, Validity, Time.
"""

import time

from micropython import const

from microdps.errors import IdentityError
from microdps.identity import element

_VERSION = const(0xA0)
_INTEGER = const(0x02)
_UTC_TIME = const(0x17)
_GENERALIZED_TIME = const(0x18)


def validity(cert: bytes, name: str):
    """When a certificate's validity begins and ends, in UTC → two of "YYYY-MM-DD HH:MM:SS".

    Raises IdentityError if the certificate cannot be read so far.
    """
    at = element(cert, 0, name)[0]
    at = element(cert, at, name)[0]
    if cert[at : at + 1] == bytes((_VERSION,)):
        at = element(cert, at, name, _VERSION)[1]
    at = element(cert, at, name, _INTEGER)[1]  # serial number
    at = element(cert, at, name)[1]  # signature algorithm
    at = element(cert, at, name)[1]  # issuer
    at = element(cert, at, name)[0]  # validity
    begin, at = _time(cert, at, name)
    return begin, _time(cert, at, name)[0]


def _time(cert: bytes, at: int, name: str):
    """A Time → (its moment, where it ends)."""
    tag = _GENERALIZED_TIME if cert[at : at + 1] == bytes((_GENERALIZED_TIME,)) else _UTC_TIME
    start, end = element(cert, at, name, tag)
    digits = cert[start : end - 1]
    if len(digits) == 12:
        digits = (b"19" if digits >= b"50" else b"20") + digits  # RFC 5280, 4.1.2.5.1
    if len(digits) != 14 or not digits.isdigit() or cert[end - 1 : end] != b"Z":
        raise IdentityError("not-der", name)
    d = digits.decode()
    return "%s-%s-%s %s:%s:%s" % (d[:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:]), end


def seconds(moment: str) -> int:
    """A moment as validity() gives it → seconds, as time.time() counts them."""
    days = _day(int(moment[:4]), int(moment[5:7]), int(moment[8:10])) - _day(*time.gmtime(0)[:3])
    return ((days * 24 + int(moment[11:13])) * 60 + int(moment[14:16])) * 60 + int(moment[17:])


def days_left(moment: str) -> int:
    """Whole days from today to a moment as validity() gives it; negative if it has passed."""
    today = time.gmtime()
    return _day(int(moment[:4]), int(moment[5:7]), int(moment[8:10])) - _day(*today[:3])


def warning(expiry_s: int) -> dict:
    """Say that a certificate expires, when, as time.time() counts → the property that says it."""
    text = "expires" if expiry_s > time.time() else "expired"
    year, month, day = time.gmtime(expiry_s)[:3]
    note = "%s %d-%02d-%02d" % (text, year, month, day)
    print("certificate:", note)
    return {"certificate": note}


def _day(year: int, month: int, day: int) -> int:
    """A number for each day, one more than the day before (Gregorian, the year from March on)."""
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day
