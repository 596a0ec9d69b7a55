"""Fake ntptime: gives the computer's time. The host "wrong.example" does not answer."""

import time as _time

host = "pool.ntp.org"


def time():
    if host == "wrong.example":
        raise OSError(110, "ETIMEDOUT")
    return int(_time.time())
