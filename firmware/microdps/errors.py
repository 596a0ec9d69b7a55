"""The errors of the device package, all below Error. microdps.program.config and microdps.state
have one more each.

args = (code, where). A code is one word, or Azure's six-digit errorCode; where is a file, a key
or `host:port`, with the peer's own words after it where there are any. str(error) is a sentence
that says what to check (microdps.advice). After each class stands what is still usable.
"""


class Error(Exception):
    """Root of the package's errors."""

    def __str__(self) -> str:
        from microdps.advice import text

        return text(self)


class IdentityError(Error):
    """The key, the certificate chain or the roots are missing or wrong. Nothing was sent."""


class LinkError(Error):
    """The network or TLS failed. The connection is closed, the object usable: the next request
    opens a new one.

    written  False if the peer cannot have seen the request: none of it, or only a part, was sent
    """

    written = False


class ProtocolError(Error):
    """The answer breaks HTTP, JSON or one of our limits. Closed and usable, like LinkError."""


class OutcomeUnknown(Error):
    """The hub may have taken the message or not: it was sent, and no right answer came. It is not
    sent again silently; the caller decides. Closed and usable, like LinkError."""


class ServiceError(Error):
    """DPS or the hub answered with an error. The connection may go on being used.

    status       HTTP status of the answer, 100 to 999
    error_code   Azure's errorCode: an int, or a name from older hubs; None if there is none
    message      Azure's message, "" if none
    tracking_id  Azure's trackingId, "" if none
    retry_s      seconds that the service asks to wait, 0 if it does not say
    """

    status: int
    error_code: object
    message: str
    tracking_id: str
    retry_s: int
