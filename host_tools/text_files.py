"""Read text that other programs wrote: Notepad, PowerShell, Excel, the Azure CLI."""

import json
from collections.abc import Callable, Iterator

# Byte order mark → encoding. The mark of UTF-32 begins like that of UTF-16, so it comes first.
MARKS = {
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
    b"\xef\xbb\xbf": "utf-8",
}

# Quotes that an .env file, a shell or a word processor puts around a value.
QUOTES = "\"'`\u2018\u2019\u201c\u201d"


def decode(data: bytes) -> str:
    """The text of a file, without its byte order mark: UTF-8, UTF-16 or UTF-32, else Latin-1.

    Everything that the tools look for is ASCII, so a wrong guess among 8-bit encodings is
    harmless.
    """
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), None)
    if encoding is None:
        encoding = _without_mark(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.removeprefix("\ufeff")


def _without_mark(data: bytes) -> str:
    """The encoding of a text without a mark: in UTF-16, every second byte of ASCII is zero."""
    even, odd = data[:200:2], data[1:200:2]
    if len(data) >= 4 and not even.strip(b"\0"):
        return "utf-16-be"
    if len(data) >= 4 and not odd.strip(b"\0"):
        return "utf-16-le"
    return "utf-8"


def unquoted(text: str) -> str:
    """The text without blanks and quotes around it."""
    return text.strip().strip(QUOTES).strip()


def json_query(text: str, wanted: Callable[[str], bool]) -> str | None:
    """Is the text JSON? → the query, as `az --query` takes it, of the first string that is wanted.

    "" if it is JSON without such a string; None if it is no JSON object or list.
    """
    if text.strip()[:1] not in ("{", "["):
        return None
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return next((query for query, value in _strings("", data) if wanted(value)), "")


def _strings(query: str, value) -> Iterator[tuple[str, str]]:
    """Each string in JSON, with its query."""
    if isinstance(value, str):
        yield query, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _strings(f"{query}.{key}" if query else key, below)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _strings(f"{query}[{number}]", below)
