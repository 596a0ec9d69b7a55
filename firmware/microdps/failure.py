"""What an exception of a socket or of TLS means. Loaded when there is one."""

import time

from micropython import const

from microdps.errors import LinkError

# Numbers of an OSError. MicroPython up to 1.27 negates those of a TLS socket's reads and writes.
_ALERT = const(-30592)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
_CLOSED = const(-29312)  # MBEDTLS_ERR_SSL_CONN_EOF
_RESET = (32, 104, 54, 128)  # EPIPE, ECONNRESET (Linux, lwIP; macOS), ENOTCONN (lwIP)

# A clock before this year was never set: no certificate is valid then.
_FIRST_YEAR = const(2025)


def link_error(error, link):
    """The LinkError for an OSError or a ValueError that a microdps.link.Link met; a LinkError is
    one already.

    A ValueError is a refused server certificate; its text is Mbed TLS's list of reasons.
    Before our first byte was written, it is the handshake that failed.
    """
    where = link.where
    if isinstance(error, LinkError):
        return error
    if isinstance(error, ValueError):
        if time.gmtime()[0] < _FIRST_YEAR:
            return LinkError("clock", where)
        reason = str(error).strip().replace("\n", ", ")
        return LinkError("server-certificate", "%s: %s" % (where, reason))
    if link.raw is None:
        return LinkError("dns", where)
    code = error.errno
    if -256 < code < 0:
        code = -code
    phase = link.phase
    if phase != "answer":
        return LinkError(phase, "%s: %d" % (where, code))
    if code == _ALERT:
        return LinkError("alert", where)
    if code == _CLOSED or code in _RESET:
        return LinkError("closed", where)
    return LinkError("broken", "%s: %d" % (where, code))
