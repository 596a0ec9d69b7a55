"""Faults on request: the worst behaviour of networks and services.

A fault is written SERVICE:KIND[=VALUE][,OPTION=VALUE]…, for example hub:status=503,times=2 or
dps:split=1,path=/operations/. The same seed and the same requests give the same faults.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

SERVICES = ("dps", "hub", "all")

# Kind → its value ("": none), and its effect.
KINDS = {
    "drop": ("bytes", "the connection breaks off after this many bytes of the answer"),
    "slow": ("ms", "the answer comes this much later"),
    "split": ("bytes", "the answer comes in pieces of this size, option every=MS apart"),
    "status": ("status", "an error answer; options code=errorCode, retry-after=S"),
    "redirect": ("URL", "307 to another address"),
    "never": ("", "a registration stays assigning"),
    "failed": ("errorCode", "a registration fails"),
    "certificate": ("expired|unknown|host", "the server's certificate is wrong in this way"),
    "skew": ("s", "the service's clock is this many seconds fast, or slow if negative"),
}
MIN_VALUES = {"split": 1, "skew": -(10**9)}
CERTIFICATES = ("expired", "unknown", "host")

# Kinds that apply to certain calls only → a part of their path.
CALLS = {"never": "/operations/", "failed": "/register"}

# Options of every fault: how often at most, how many calls to skip first, how likely, which path.
OPTIONS = ("times", "skip", "chance", "path")
OWN_OPTIONS = {"split": ("every",), "status": ("code", "retry-after")}


@dataclass
class Fault:
    """One fault.

    text       as it was written; the module's docstring describes its parts
    matched    how many requests matched
    triggered  how many requests suffered it
    """

    text: str
    service: str
    kind: str
    value: str
    options: dict[str, str]
    matched: int = 0
    triggered: int = 0

    @property
    def number(self) -> int:
        return int(self.value)

    def option(self, name: str, default: int = 0) -> int:
        return int(self.options.get(name, default))

    @property
    def is_over(self) -> bool:
        return "times" in self.options and self.triggered >= self.option("times")


def parse(text: str) -> Fault:
    """Parse a fault. Raises ValueError, which says what is wrong with it."""
    service, colon, rest = text.partition(":")
    if not colon or service not in SERVICES:
        raise ValueError(f"{text!r}: a fault begins with {', '.join(SERVICES[:-1])} or all, and :")
    first, *others = rest.split(",")
    kind, equals, value = first.partition("=")
    if kind not in KINDS:
        raise ValueError(f"{text!r}: {kind!r} is not a fault; use one of {', '.join(KINDS)}")
    value_name = KINDS[kind][0]
    if bool(value_name) != bool(equals and value):
        expected = f"a value, {value_name}" if value_name else "no value"
        raise ValueError(f"{text!r}: {kind} takes {expected}")
    if value_name:
        _check_value(text, kind, value)
    return Fault(text, service, kind, value, _parse_options(text, kind, others))


def _check_value(text: str, kind: str, value: str) -> None:
    if kind == "certificate":
        if value not in CERTIFICATES:
            raise ValueError(f"{text!r}: the certificate can be {', '.join(CERTIFICATES)}")
    elif kind == "redirect":
        if not value.isprintable() or " " in value:
            raise ValueError(f"{text!r}: that is not a URL")
    elif kind == "status":
        if not value.isdecimal() or not 300 <= int(value) <= 599:
            raise ValueError(f"{text!r}: a status is from 300 to 599")
    else:
        _check_number(text, kind, value, MIN_VALUES.get(kind, 0))


def _parse_options(text: str, kind: str, words: list[str]) -> dict[str, str]:
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in (*OPTIONS, *OWN_OPTIONS.get(kind, ())) or not equals:
            raise ValueError(f"{text!r}: {word!r} is not an option of {kind}")
        if name == "chance":
            _check_chance(text, value)
        elif name != "path":
            _check_number(text, name, value, 0)
        options[name] = value
    return options


def _check_number(text: str, name: str, value: str, minimum: int) -> None:
    try:
        valid = minimum <= int(value) <= 10**9
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text!r}: {name} is a whole number from {minimum} on")


def _check_chance(text: str, value: str) -> None:
    try:
        valid = 0 <= float(value) <= 1
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text!r}: chance is from 0 to 1")


class Faults:
    """The faults that are switched on.

    seed  of the random generator for the option chance
    """

    def __init__(self, seed: int = 0):
        self._random = random.Random(seed)  # noqa: S311  reproducible on purpose
        self._faults: list[Fault] = []

    def add(self, text: str) -> None:
        """Switch a fault on. Raises ValueError if the text is not a fault."""
        self._faults.append(parse(text))

    def clear(self) -> None:
        self._faults.clear()

    def status(self) -> list[dict]:
        """The faults, and how many requests have suffered each."""
        return [{"fault": fault.text, "times": fault.triggered} for fault in self._faults]

    def trigger(
        self,
        service: str,
        path: str = "",
        connection: bool = False,
        without: tuple[str, ...] = (),
    ) -> dict[str, Fault]:
        """The faults that this request suffers: kind → fault. It counts as one request.

        connection  ask about a new connection instead of a request
        without     kinds that cannot be played here: they are left out, and do not count
        """
        if not self._faults:  # the usual case must be fast
            return {}
        return {
            fault.kind: fault
            for fault in self._of(service)
            if (fault.kind == "certificate") == connection
            and fault.kind not in ("skew", *without)
            and fault.options.get("path", "") in path
            and CALLS.get(fault.kind, "") in path
            and self._is_due(fault)
        }

    def skew_s(self, service: str) -> int:
        """How many seconds the service's clock is fast."""
        if not self._faults:
            return 0
        return sum(fault.number for fault in self._of(service) if fault.kind == "skew")

    def _of(self, service: str) -> Iterator[Fault]:
        return (fault for fault in self._faults if fault.service in (service, "all"))

    def _is_due(self, fault: Fault) -> bool:
        """Count a request that matches a fault → does the request suffer it?"""
        fault.matched += 1
        if fault.is_over or fault.matched <= fault.option("skip"):
            return False
        if self._random.random() >= float(fault.options.get("chance", 1)):
            return False
        fault.triggered += 1
        return True
