"""What becomes of an exception of a TLS socket, on every release that has one."""

from microdps.failure import link_error


class Bare:
    """What is asked of a link whose connection has got as far as TLS."""

    raw = tls = where = "peer:1"

    def __init__(self, written):
        self.phase = "answer" if written else "handshake"


def judged(error, written):
    return link_error(error, Bare(written)).args


def test_errno_that_is_negated_up_to_1_27_means_the_same():
    for code in (32, 104):
        for sign in (1, -1):
            assert judged(OSError(sign * code, ""), True) == ("closed", "peer:1")


def test_codes_of_mbedtls_are_no_negated_errno():
    assert judged(OSError(-30592, ""), True) == ("alert", "peer:1")
    assert judged(OSError(-29312, ""), True) == ("closed", "peer:1")
    assert judged(OSError(-29184, ""), True) == ("broken", "peer:1: -29184")


def test_before_a_byte_was_written_it_is_the_handshake_that_failed():
    for code in (-30592, -29312, -29184, -104, 104, 12):
        assert judged(OSError(code, ""), False)[0] == "handshake"


def test_refused_certificate_is_a_value_error_whose_text_says_why():
    text = "\nThe certificate validity has expired\nNot signed by a trusted CA\n"
    assert judged(ValueError(text), False) == (
        "server-certificate",
        "peer:1: The certificate validity has expired, Not signed by a trusted CA",
    )
