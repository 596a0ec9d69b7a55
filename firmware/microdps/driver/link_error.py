"""The LinkError for an exception of a socket or of TLS. Loaded when there is one.

Sources: Mbed TLS, include/mbedtls/*.h and library/ssl_msg.c; lwIP, errno.h.
"""

import time

from micropython import const

from microdps.errors import LinkError, OutcomeUnknown

# Numbers of an OSError. MicroPython up to 1.27 negates those of a TLS socket's reads and writes.
_ALERT = const(-30592)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE
_CLOSED = const(-29312)  # MBEDTLS_ERR_SSL_CONN_EOF
_RESET = const((32, 104, 54, 128))  # EPIPE, ECONNRESET (Linux, lwIP; macOS), ENOTCONN (lwIP)

# No memory: ENOMEM, ENOBUFS (Linux, lwIP), and PSA's. In a code of Mbed TLS, which is negative, a
# high part (SSL, X.509, PK, MD, cipher, PEM, ECP, DHM, PKCS #7) and a low part (MPI, ASN.1) are
# added up; MicroPython turns those above -256 positive.
_NO_MEMORY = const((12, 105, 141))
_HIGH = const((0x7F00, 0x2880, 0x3F80, 0x5180, 0x6180, 0x1180, 0x4D80, 0x3400, 0x5780))
_LOW = const((0x10, 0x6A))

# A clock before this year was never set: no certificate is valid then.
_FIRST_YEAR = const(2025)


def link_error(error, link, flow: bool = False):
    """The LinkError for an exception that a microdps.driver.link.Link met; a LinkError is one
    already. Closes the connection.

    flow  is it a MemoryError of the flow's? If a request was on its way, its outcome is unknown

    A ValueError is a refused server certificate; its text is Mbed TLS's list of reasons.
    Before our first byte was written, it is the handshake that failed. Where the memory outside
    of MicroPython's heap is too small for a handshake, that is the reason, whatever TLS said.
    """
    where, phase = link.where, link.phase
    looked_up = link.raw is not None
    sent = flow and link.tls is not None and phase == "answer"
    link.close()
    # MicroPython gives each exception an errno: its first argument, whatever that is.
    number = error.errno if isinstance(error, OSError) else 0
    if not isinstance(number, int):
        number = 0
    if isinstance(error, MemoryError) or _is_memory(number, phase):
        made = _memory("%s: %s" % (where, error) if isinstance(error, MemoryError) else where)
        return OutcomeUnknown(*made.args) if sent else made
    if phase == "handshake":
        from microdps.memory import short

        if short():
            return _memory(where)
    if isinstance(error, LinkError):
        return error
    if isinstance(error, ValueError) and phase == "handshake":
        if time.gmtime()[0] < _FIRST_YEAR:
            return LinkError("clock", where)
        reason = str(error).strip().replace("\n", ", ")
        return LinkError("server-certificate", "%s: %s" % (where, reason))
    if not isinstance(error, OSError):
        return LinkError("broken", "%s: %r" % (where, error))
    return _os_error(number, where, phase) if looked_up else LinkError("dns", where)


def _os_error(number: int, where: str, phase: str):
    """The LinkError for the number of an OSError, in a phase of a connection."""
    if -256 < number < 0:
        number = -number
    if phase != "answer":
        return LinkError(phase, "%s: %d" % (where, number))
    if number == _ALERT:
        return LinkError("alert", where)
    if number == _CLOSED or number in _RESET:
        return LinkError("closed", where)
    return LinkError("broken", "%s: %d" % (where, number))


def _memory(where: str):
    from microdps.memory import figures

    return LinkError("memory", "%s: %s" % (where, figures()))


def _is_memory(number: int, phase: str) -> bool:
    """Does the number of an OSError mean that there was no memory?"""
    code = abs(number)
    if code in _NO_MEMORY:
        return True
    if phase == "connect" or number > 255:
        return False  # no code of Mbed TLS
    return code & 0x7F in _LOW or code & 0x7F80 in _HIGH
