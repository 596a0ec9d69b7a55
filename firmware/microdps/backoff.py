"""When to try again, and whether to register again: the one table of it, and its flows.

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
| hub | 401, 403, 404 | register again, once a day; refused again: wait, as above |
| hub | any other status: the message is at fault | final |
| hub | ten failures in a row | register again, as after a refusal |
| hub | the first message: 401, an alert, closed | as microdps.late_certificate says: MQTT |

If a wait is longer than the rest of the call's patience, the call raises the error, and the next
call waits first. So a device costs 12 registrations a day at most, whatever a hub answers: the
first one, one at once, and one after each of the waits from a minute up to 512. And an exchange
fails once a minute at most on average; ten may fail before that is enforced.

Sources: Azure documentation, "Best practices for large-scale device deployments with DPS", "IoT
Hub Device reprovisioning concepts", "Manage device reconnections". The bounds of Retry-After are
azure-iot-sdk-c's (prov_transport.h), which discards what lies outside; we clamp it.
"""

import random

from micropython import const

from microdps.errors import LinkError, OutcomeUnknown, ProtocolError, ServiceError

# What is to be done, in the order of how much it gives up.
AGAIN = "again"
REGISTER = "register"
WAIT = "wait"
FINAL = "final"

# Failures in a row after which a device registers again.
LIMIT = 10

_FIRST_MS = const(1_000)
_MOST_MS = const(300_000)
_DPS_LEAST_MS = const(5_000)
_RETRY_AFTER_LEAST_S = const(1)
_RETRY_AFTER_MOST_S = const(300)
_SPACE_MS = const(60_000)
_BURST_MS = const(600_000)
_REFUSED_FIRST_MS = const(60_000)
_DAY_MS = const(86_400_000)


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
    return min(_REFUSED_FIRST_MS << min(refusals - 1, 11), _DAY_MS)


def later(session, now: int, ms: int):
    """The next request is due so many ms from now."""
    session.wait_from = now
    session.wait_ms = ms


def left_ms(session, now: int) -> int:
    """Milliseconds until the next request is due; 0 if it is. A clock that went back, as one that
    wraps does, ends the wait."""
    past = now - session.wait_from
    return session.wait_ms - past if 0 <= past < session.wait_ms else 0


def wait(session):
    """Flow: wait until the next request is due."""
    left = left_ms(session, (yield "now", None))
    if left > 1000:
        session.log("waiting %d s, after the last error", left // 1000)
    if left:
        yield "sleep", left
    session.wait_ms = 0


def refusal(session):
    """Flow: raise the ServiceError for the status of a hub's answer over HTTPS."""
    from microdps.protocol.service_error import failure

    raise failure(session.https, session.hub)
    yield


def after_dps(session, error, until):
    """Flow: decide after an error of a registration → (until when its call has patience, ms to
    wait, what is done then: a text for the log, "" for none).


    session  microdps.device.Session
    until    the answer to the last error of the same call; None before

    Raises the error if the registration is not to be tried again now.
    """
    if not isinstance(error, (ServiceError, ProtocolError, LinkError)):
        raise error
    now = yield "now", None
    step = dps_step(error)
    session.failures += 1
    if step != AGAIN:
        _refused(session, now, step == FINAL)
        raise error
    ms = dps_delay_ms(session.failures, error)
    if not isinstance(error, ServiceError) or error.status == 202:
        until = 0  # DPS did not ask for it: the caller is told at once
    return _pause(session, now, ms, error, until)


def after_hub(session, error, until, fresh: bool):
    """Flow: the same for a message. The session has no assignment afterwards if it is to register
    again.

    fresh  has the call registered already?
    """
    if not isinstance(error, (ServiceError, ProtocolError, LinkError)):
        raise error
    now = yield "now", None
    if session.transport == "auto" and not session.proven:
        from microdps import late_certificate

        if session.by_mqtt:
            late_certificate.back(session)
        elif (yield from late_certificate.asks_late(session, error)):
            _space(session, now)
            return until, 0, ""
    error, step = _judge(session, error)
    if step == REGISTER:
        session.assignment = None
        session.changed = True
        if not fresh and not session.renewed:
            session.renewed = True
            _space(session, now)
            if isinstance(error, OutcomeUnknown):
                raise error
            return until, 0, "registering again"
    if step == AGAIN:
        ms = delay_ms(session.failures, error)
        if isinstance(error, OutcomeUnknown):
            until = 0  # it must not be sent again
        return _pause(session, now, ms, error, until)
    if step == FINAL:
        later(session, now, _space(session, now))
    else:
        _refused(session, now)
    raise error


def _judge(session, error):
    """The error that the caller gets for an error of the hub, and the next step."""
    if isinstance(error, ServiceError):
        step = hub_step(error)
    else:
        step = AGAIN
        error = _outcome(session, error)
    if step == AGAIN:
        session.failures += 1
        if session.failures % LIMIT == 0:  # the hub is doubted
            step = REGISTER
            session.proven = session.proven and not isinstance(error, OutcomeUnknown)
    return error, step


def _outcome(session, error):
    """The error that a broken exchange with the hub is for the caller.

    If a hub breaks off after its first request was written, while DPS has accepted the same
    certificate, it wanted that late: by TLS renegotiation, which stock MicroPython refuses.
    """
    code, where = error.args
    if isinstance(error, LinkError):
        if not error.written:
            return error
        if session.transport == "https" and not session.proven and code in ("alert", "closed"):
            return LinkError("late-certificate", where)
    return OutcomeUnknown(code, where)


def _refused(session, now: int, final: bool = False):
    """Let the next call wait, longer with each refusal; a day after a final one."""
    session.refusals += 12 if final else 1
    session.good_ms = None
    session.changed = True
    later(session, now, max(_space(session, now), refused_ms(session.refusals)))


def _space(session, now: int) -> int:
    """An exchange has failed → ms to wait, so that they fail once a minute at most on average."""
    session.debt_ms = max(session.debt_ms, now) + _SPACE_MS
    return max(0, session.debt_ms - now - _BURST_MS)


def _pause(session, now: int, ms: int, error, until):
    """To wait before trying again, as after_dps() returns it. Raises the error if the call has no
    patience for it: then it is the next call that waits."""
    ms = max(ms, _space(session, now))
    if until is None:
        until = now + session.patience_ms
    if now + ms > until:
        later(session, now, ms)
        raise error
    return until, ms, "again in %d s" % ((ms + 999) // 1000)
