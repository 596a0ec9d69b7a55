"""Queries of DPS's service API: parse and evaluate the text; sign and check the pages' tokens.

    SELECT * [FROM enrollments | enrollmentGroups] [WHERE condition]

A condition compares properties such as attestation.type with strings, numbers, true, false and
null by = != <> < <= > >= and IN [..], and joins comparisons by AND, OR, NOT and parentheses.

Source: "IoT Hub query language" (Azure documentation), whose form the samples of DPS's SDKs use.
Inferred: that DPS takes no more of it, and the form of a continuation token.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Callable

from ..call import ApiError

# A longer query, or one with more nested parentheses, is refused.
LENGTH_LIMIT = 4096
DEPTH_LIMIT = 16

COLLECTIONS = ("enrollments", "enrollmentgroups")
KEYWORDS = {"select", "from", "where", "and", "or", "not", "in", "true", "false", "null"}
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?\d{1,18}(?:\.\d{1,18})?)"
    r"|(?P<word>[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*)"
    r"|(?P<sign><=|>=|<>|!=|[=<>()\[\],*]))"
)
LITERALS = {"true": True, "false": False, "null": None}

Condition = Callable[[dict], bool]


def parse_query(text: object) -> Condition:
    """A function that says whether a record is in the result of a query. Raises ApiError."""
    if not isinstance(text, str):
        raise ApiError(400, 400004, "The query is missing.")
    try:
        return _Parser(_tokens(text)).query()
    except ValueError as error:
        raise ApiError(400, 400004, "The query is invalid.", cause=str(error)) from error


def _tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token. Raises ValueError."""
    if len(text) > LENGTH_LIMIT:
        raise ValueError(f"the query is longer than {LENGTH_LIMIT} characters")
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ValueError(f"nothing in a query looks like {text[at : at + 20]!r}")
        kind = str(found.lastgroup)
        word = found[kind]
        if kind == "word" and word.lower() in KEYWORDS:
            kind, word = "keyword", word.lower()
        tokens.append((kind, word))
        at = found.end()
    return tokens


class _Parser:
    """Parses a query by recursive descent. Its methods raise ValueError."""

    def __init__(self, tokens: list[tuple[str, str]]):
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def query(self) -> Condition:
        self._expect("select")
        self._expect("*")
        if self._take("from"):
            kind, name = self._next()
            if kind != "word" or name.lower() not in COLLECTIONS:
                raise ValueError(f"{name!r} is not enrollments or enrollmentGroups")
        condition: Condition = lambda record: True  # noqa: E731
        if self._take("where"):
            condition = self._any()
        if self._at < len(self._tokens):
            raise ValueError(f"the query goes on with {self._tokens[self._at][1]!r}")
        return condition

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return lambda record: any(part(record) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda record: all(part(record) for part in parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise ValueError(f"more than {DEPTH_LIMIT} nested conditions")
        try:
            if self._take("not"):
                inner = self._one()
                return lambda record: not inner(record)
            if self._take("("):
                inner = self._any()
                self._expect(")")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        kind, name = self._next()
        if kind != "word":
            raise ValueError(f"{name!r} is not the name of a property")
        if self._take("in"):
            self._expect("[")
            values = [self._literal()]
            while self._take(","):
                values.append(self._literal())
            self._expect("]")
            return lambda record: any(_compare("=", _property(record, name), v) for v in values)
        sign = self._next()[1]
        if sign not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            raise ValueError(f"{sign!r} does not compare")
        value = self._literal()
        return lambda record: _compare(sign, _property(record, name), value)

    def _literal(self):
        kind, text = self._next()
        if kind == "string":
            return re.sub(r"\\(.)|''", lambda found: found[1] or "'", text[1:-1])
        if kind == "number":
            return float(text)
        if kind == "keyword" and text in LITERALS:
            return LITERALS[text]
        raise ValueError(f"{text!r} is not a value")

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise ValueError("the query ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        """Skip a keyword or a sign, if it is the next token."""
        found = self._at < len(self._tokens) and self._tokens[self._at] in (
            ("keyword", text),
            ("sign", text),
        )
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise ValueError(f"{text.upper()} is missing")


def _property(record: dict, name: str):
    value: object = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _compare(sign: str, value, literal) -> bool:
    """Compare a property with a value. Values of different types are never equal, less or more."""
    numbers = [
        isinstance(one, int | float) and not isinstance(one, bool) for one in (value, literal)
    ]
    comparable = all(numbers) or type(value) is type(literal)
    if sign in ("=", "!=", "<>"):
        return (comparable and value == literal) == (sign == "=")
    if not comparable or not (all(numbers) or isinstance(value, str)):
        return False
    return {
        "<": value < literal,
        "<=": value <= literal,
        ">": value > literal,
        ">=": value >= literal,
    }[sign]


def continuation(key: str, about: list[str], last: str) -> str:
    """A token for the page after an ID. key: the service's. about: what the query asks for."""
    data = json.dumps([about, last]).encode()
    return base64.urlsafe_b64encode(_mark(key, data) + data).decode()


def read_continuation(key: str, about: list[str], token: str) -> str:
    """The ID in a token; "" for the first page. Raises ApiError if the token is not ours."""
    if not token:
        return ""
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    mark, text = data[:16], data[16:]
    if text and hmac.compare_digest(mark, _mark(key, text)):
        given, last = json.loads(text)
        if given == about:
            return last
    raise ApiError(
        400,
        400004,
        "x-ms-continuation is invalid.",
        cause="DPS did not make this token, or made it for another query",
    )


def _mark(key: str, data: bytes) -> bytes:
    return hmac.digest(key.encode(), data, "sha256")[:16]
