"""What becomes of an exception of a TLS socket, on every release that has one."""

import microdps.driver.link_error as link_error_module
from microdps import memory
from microdps.driver.link_error import link_error
from microdps.errors import LinkError, OutcomeUnknown


class Bare:
    """What is asked of a link whose connection has got as far as TLS."""

    raw = tls = where = "peer:1"

    def __init__(self, written):
        self.phase = "answer" if written else "handshake"

    def close(self):
        self.raw = self.tls = None


def judged(error, written):
    return link_error(error, Bare(written)).args


def test_errno_that_is_negated_up_to_1_27_means_the_same():
    for code in (32, 104, 54, 128):
        for sign in (1, -1):
            assert judged(OSError(sign * code, ""), True) == ("closed", "peer:1")


def test_codes_of_mbedtls_are_no_negated_errno():
    assert judged(OSError(-30592, ""), True) == ("alert", "peer:1")
    assert judged(OSError(-29312, ""), True) == ("closed", "peer:1")
    assert judged(OSError(-29184, ""), True) == ("broken", "peer:1: -29184")


def test_before_a_byte_was_written_it_is_the_handshake_that_failed():
    for code in (-30592, -29312, -29184, -104, 104):
        assert judged(OSError(code, ""), False)[0] == "handshake"


def test_out_of_memory_is_told_as_such():
    """ENOMEM, ENOBUFS, PSA's; and of Mbed TLS the allocation failures of SSL, X.509, PK, MD,
    cipher, PEM, ECP, DHM, PKCS #7, and of MPI (alone, in an RSA public or private operation) and
    ASN.1."""
    parts = (0x7F00, 0x2880, 0x3F80, 0x5180, 0x6180, 0x1180, 0x4D80, 0x3400, 0x5780)
    for code in [12, 105, -12, 141, 16, 106] + [-part for part in parts]:
        for written in (False, True):
            assert judged(OSError(code, ""), written)[0] == "memory", code
    for code in (-0x4290, -0x4310, -0x10, -0x6A, -0x28EA, -0x3F90, -0x2881, -0x7F01):
        assert judged(OSError(code, ""), False)[0] == "memory", code
    for code in (-0x7780, -0x7200, -0x2700, -0x4280, 110, 113, 111):
        assert judged(OSError(code, ""), False)[0] == "handshake", code
    error = link_error(MemoryError("memory allocation failed"), Bare(True))
    assert isinstance(error, LinkError) and error.args[0] == "memory"


def test_flow_without_memory_does_not_know_what_became_of_its_request():
    for written, kind in ((True, OutcomeUnknown), (False, LinkError)):
        error = link_error(MemoryError(), Bare(written), True)
        assert isinstance(error, kind) and error.args[0] == "memory"


def test_refusal_while_memory_is_short_is_no_bad_certificate():
    short = memory.short
    try:
        memory.short = lambda: True
        for error in (
            ValueError("not correctly signed"),
            LinkError("timeout-handshake", "peer:1"),
        ):
            assert judged(error, False)[0] == "memory"
        assert judged(LinkError("timeout-answer", "peer:1"), True)[0] == "timeout-answer"
    finally:
        memory.short = short


def test_any_exception_of_a_network_stack_is_a_link_error():
    for error in (TypeError("x"), IndexError(1), OverflowError(), UnicodeError("y"), OSError()):
        assert isinstance(link_error(error, Bare(True)), LinkError), error


def test_refused_certificate_is_a_value_error_whose_text_says_why():
    text = "\nThe certificate validity has expired\nNot signed by a trusted CA\n"
    assert judged(ValueError(text), False) == (
        "server-certificate",
        "peer:1: The certificate validity has expired, Not signed by a trusted CA",
    )


def test_other_numbers_are_no_end_of_the_connection():
    for code in (31, 33, 53, 55, 103, 110, 127, 129):
        assert judged(OSError(code, ""), True)[0] == "broken", code


def test_codes_beside_those_for_no_memory_mean_something_else():
    for code in (-0x7E80, -0x2900, -0x5200, -0x4E00, -0x12, -0x68, 11, 13, 104, 106 + 256):
        assert judged(OSError(code, ""), False)[0] == "handshake", code


def test_certificate_refused_before_2025_means_that_the_clock_is_not_set():
    real = link_error_module.time
    for year, code in ((2000, "clock"), (2024, "clock"), (2025, "server-certificate")):

        class Clock:
            @staticmethod
            def gmtime(year=year):
                return (year, 1, 1, 0, 0, 0, 0, 1)

        link_error_module.time = Clock
        try:
            assert judged(ValueError("expired"), False)[0] == code
        finally:
            link_error_module.time = real


def test_numbers_that_micropython_negates_are_shown_as_they_are_listed():
    for number, shown in ((-255, 255), (-1, 1), (0, 0), (-256, -256), (-257, -257), (255, 255)):
        assert judged(OSError(number, ""), True) == ("broken", "peer:1: %d" % shown)


def test_codes_of_mbedtls_mean_nothing_while_it_connects():
    """There only the numbers of an errno say that there was no memory."""
    for number, code in ((105, "memory"), (12, "memory"), (106, "connect"), (-0x7F00, "connect")):
        link = Bare(False)
        link.phase = "connect"
        assert link_error(OSError(number, ""), link).args[0] == code, number


def test_number_of_an_exception_may_be_anything():
    for number in ("text", None, 2**70, -(2**70)):
        error = OSError(number)
        assert isinstance(link_error(error, Bare(True)), LinkError)
