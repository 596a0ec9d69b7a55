"""When to try again, and whether to register anew: the one table of it.

| answer of | what | then |
| --- | --- | --- |
| DPS | 429, 5xx | again: Retry-After, else back-off of 5 s at least |
| DPS | a link error, a broken answer, too late | the caller is told; again after back-off |
| DPS | failed, disabled | final: a later call waits a day |
| DPS | any other refusal | wait: 1 minute, doubling to 24 hours |
| hub | 408, 429, 5xx | the same hub again: Retry-After, else back-off |
| hub | a link error before a byte was written | the same hub again, after back-off |
| hub | a link error or a broken answer after that | the outcome is unknown: for the caller |
| hub | 403002, the daily quota | wait: 1 minute, doubling to 24 hours |
| hub | 401, 403, 404 | register anew, once; refused again: wait, as above |
| hub | any other status: the message is at fault | final |
| hub | ten failures in a row | register anew |

What a call has no patience left to wait for, it tells its caller, and the next call waits first
(microdps.device).

Sources: Azure documentation, "Best practices for large-scale device deployments with DPS", "IoT
Hub Device reprovisioning concepts", "Manage device reconnections". The bounds of Retry-After are
azure-iot-sdk-c's (prov_transport.h), which discards what lies outside; we clamp it.
"""

import random

from micropython import const

from microdps.errors import ServiceError

# What is to be done, in the order of how much it gives up.
AGAIN = "again"
REGISTER = "register"
WAIT = "wait"
FINAL = "final"

# Failures in a row after which a device registers anew.
LIMIT = 10

_FIRST_MS = const(1_000)
_MOST_MS = const(300_000)
_DPS_LEAST_MS = const(5_000)
_RETRY_AFTER_LEAST_S = const(1)
_RETRY_AFTER_MOST_S = const(300)
_REFUSED_FIRST_MS = const(60_000)
_REFUSED_MOST_MS = const(86_400_000)


def dps_step(error) -> str:
    """What follows an error of a registration: AGAIN, WAIT or FINAL."""
    if not isinstance(error, ServiceError):
        return AGAIN
    if error.args[0] == "deadline" or error.status == 429 or error.status >= 500:
        return AGAIN
    return FINAL if error.status == 200 else WAIT


def hub_step(error) -> str:
    """What follows an error status of the hub: AGAIN, REGISTER, WAIT or FINAL."""
    if error.error_code == 403002:
        return WAIT
    if error.status in (401, 403, 404):
        return REGISTER
    return AGAIN if error.status in (408, 429) or error.status >= 500 else FINAL


def delay_ms(failures: int, error, least_ms: int = 0) -> int:
    """How long to wait after so many failures in a row, the last being error.

    Retry-After, from 1 to 300 s, if the service gave one; else a random time up to 1 s, which
    doubles with each failure up to 300 s ("full jitter").
    """
    retry_s = getattr(error, "retry_s", 0)
    if retry_s:
        return min(max(retry_s, _RETRY_AFTER_LEAST_S), _RETRY_AFTER_MOST_S) * 1000
    most = min(_FIRST_MS << min(failures - 1, 9), _MOST_MS)
    return max(least_ms, random.randrange(most + 1))  # noqa: S311


def dps_delay_ms(failures: int, error) -> int:
    """The same for a registration. DPS asks for 5 s at least when it has an error itself."""
    return delay_ms(failures, error, _DPS_LEAST_MS if isinstance(error, ServiceError) else 0)


def refused_ms(refusals: int) -> int:
    """How long to wait after so many refusals in a row: 1 minute, doubling to 24 hours."""
    return min(_REFUSED_FIRST_MS << min(refusals - 1, 11), _REFUSED_MOST_MS)
