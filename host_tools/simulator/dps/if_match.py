"""The header If-Match: a change is made only if nobody else has changed the record."""

from ..call import ApiError, Call


def check_if_match(call: Call, record: dict, default: str | None = None) -> None:
    """Compare If-Match with a record's etag. default: used if there is no such header.

    Raises ApiError.
    """
    check_etag(call.header("if-match") or default, record)


def check_etag(etag: str | None, record: dict) -> None:
    """Compare an etag with a record's. Raises ApiError."""
    if etag not in ("*", record.get("etag"), f'"{record.get("etag")}"'):
        raise ApiError(412, 412001, "Precondition failed.")
