"""When to try again, and whether to register anew: the one table of it, and the flows to it.

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
| hub | the first message: 401, an alert, closed | as microdps.transport says: MQTT |

What a call has no patience left to wait for, it tells its caller, and the next call waits first.

Sources: Azure documentation, "Best practices for large-scale device deployments with DPS", "IoT
Hub Device reprovisioning concepts", "Manage device reconnections". The bounds of Retry-After are
azure-iot-sdk-c's (prov_transport.h), which discards what lies outside; we clamp it.
"""

import random

from micropython import const

from microdps.errors import LinkError, OutcomeUnknown, ProtocolError, ServiceError
from microdps.http import NOW

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


# What a hub calls its daily quota: in its newer error bodies, and in the older ones.
QUOTA = (403002, "IotHubQuotaExceeded")


def dps_step(error) -> str:
    """What follows an error of a registration: AGAIN, WAIT or FINAL."""
    if not isinstance(error, ServiceError):
        return AGAIN
    if error.args[0] == "deadline" or error.status == 429 or error.status >= 500:
        return AGAIN
    return FINAL if error.status == 200 else WAIT


def hub_step(error) -> str:
    """What follows an error status of the hub: AGAIN, REGISTER, WAIT or FINAL."""
    if error.error_code in QUOTA:
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


def after_dps(session, error, until):
    """Flow: what follows an error of a registration → until when its call has patience.

    session  microdps.device.Session
    until    what the last error of the same call gave; None before

    Raises the error if the registration is not to be tried again now.
    """
    if not isinstance(error, (ServiceError, ProtocolError, LinkError)):
        raise error
    step = dps_step(error)
    session.failures += 1
    if step != AGAIN:
        yield from _refused(session, step == FINAL)
        raise error
    ms = dps_delay_ms(session.failures, error)
    if not isinstance(error, ServiceError) or error.status == 202:
        until = 0  # DPS did not ask for it: the caller is told at once
    return (yield from _pause(session, ms, error, until))


def after_hub(session, error, until, renewed: bool):
    """Flow: the same for a message; the session has no assignment after that if it is to register
    anew.

    renewed  has the call registered already?
    """
    if session.transport == "auto" and not session.proven:
        from microdps import transport

        if session.mqtt:
            transport.back(session)
        elif (yield from transport.asks_late(session, error)):
            return until
    step = AGAIN
    if isinstance(error, ServiceError):
        step = hub_step(error)
    elif isinstance(error, (LinkError, ProtocolError)):
        _tell_apart(session, error)
    else:
        raise error
    if step == AGAIN:
        session.failures += 1
        if session.failures % LIMIT:
            ms = delay_ms(session.failures, error)
            return (yield from _pause(session, ms, error, until))
        step = REGISTER
    if step == REGISTER:
        session.assign(None)
        if not renewed:
            session.log("registering anew: %s", error)
            return until
    if step != FINAL:
        yield from _refused(session)
    raise error


def wait(session):
    """Flow: wait for as long as the last error asks."""
    left = session.not_before - (yield NOW)
    session.due = None
    if left > 0:
        if left > 1000:
            session.log("waiting %d s, after the last error", left // 1000)
        yield "sleep", left


def _tell_apart(session, error):
    """Raise what a broken exchange with the hub means for the caller, if it means more.

    A hub that breaks off after its first request was written, while DPS has accepted the same
    certificate, wanted it late: by TLS renegotiation, which stock MicroPython refuses.
    """
    code, where = error.args
    if isinstance(error, LinkError):
        if not error.written:
            return
        late = session.transport == "https" and not session.proven
        if late and code in ("alert", "closed"):
            raise LinkError("late-certificate", where)
    session.failures += 1
    if session.failures % LIMIT == 0:  # the next call registers anew, and doubts the hub
        session.assign(None)
        session.proven = False
    raise OutcomeUnknown(code, where)


def _refused(session, final: bool = False):
    """Flow: let the next call wait, longer with each refusal in a row; a day after a final."""
    session.refusals += 12 if final else 1
    session.not_before = (yield NOW) + refused_ms(session.refusals)
    session.due = wait


def _pause(session, ms: int, error, until):
    """Flow: wait before trying again → until when the call has patience. Raises the error if the
    wait is longer: then it is the next call that waits."""
    now = yield NOW
    if until is None:
        until = now + session.patience_ms
    if now + ms > until:
        session.not_before = now + ms
        session.due = wait
        raise error
    session.log("again in %d s: %s", ms // 1000, error)
    yield "sleep", ms
    return until
