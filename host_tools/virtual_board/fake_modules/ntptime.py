"""Fake ntptime: the computer's clock is right already. The host "wrong" does not answer."""

host = "pool.ntp.org"


def settime():
    if host == "wrong":
        raise OSError(110, "ETIMEDOUT")
