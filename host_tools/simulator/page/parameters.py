"""The parameters of a call of the page's API.

Each function that reads a parameter removes it, so that unknown ones are left at the end.
"""

import urllib.parse

from ..call import ApiError
from .excerpt import excerpt

SEARCH_LIMIT = 128  # characters


def parse_query(query: str) -> dict[str, str]:
    """The parameters of a query. Raises ApiError."""
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError as error:
        raise ApiError(400, 400000, "the query cannot be read") from error
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise ApiError(400, 400000, "a parameter is given twice")
    return parameters


def check_none_left(parameters: dict[str, str]) -> None:
    """Raises ApiError if a parameter was not read."""
    for name in parameters:
        raise ApiError(400, 400000, f"there is no parameter {excerpt(name)}")


def read_search(parameters: dict[str, str]) -> str:
    search = parameters.pop("search", "")
    if len(search) > SEARCH_LIMIT or "\0" in search:
        raise ApiError(
            400, 400000, f"search has at most {SEARCH_LIMIT} characters, none of them NUL"
        )
    return search


def read_number(
    parameters: dict[str, str], name: str, maximum: int = 2**53, default: int = 0
) -> int:
    """A parameter that is a whole number. Raises ApiError."""
    text = parameters.pop(name, str(default))
    minimum = 1 if name == "limit" else 0
    valid = (
        text.isascii() and text.isdecimal() and len(text) < 17 and minimum <= int(text) <= maximum
    )
    if not valid:
        raise ApiError(400, 400000, f"{name} must be a whole number from {minimum} to {maximum}")
    return int(text)
