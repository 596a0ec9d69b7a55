"""Faults on request: what networks and services do at their worst, when it is asked for.

A fault is written SERVICE:KIND[=VALUE][,OPTION=VALUE]…, for example hub:status=503,times=2 or
dps:split=1,path=/operations/. The same seed and the same requests give the same faults.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

SERVICES = ("dps", "hub", "all")

# Kind → what its value is ("": none), and what happens.
KINDS = {
    "drop": ("bytes", "the connection breaks off after so many bytes of the answer"),
    "slow": ("ms", "the answer is so late"),
    "split": ("bytes", "the answer comes in pieces of that size, option every=MS apart"),
    "status": ("status", "an error answer; options code=errorCode, retry-after=S"),
    "redirect": ("URL", "307 to another address"),
    "never": ("", "a registration stays assigning"),
    "failed": ("errorCode", "a registration fails"),
    "certificate": ("expired|unknown|host", "the server's certificate is wrong in that way"),
    "skew": ("s", "the service's clock is so many seconds fast, or slow if negative"),
}
LEAST = {"split": 1, "skew": -(10**9)}
CERTIFICATES = ("expired", "unknown", "host")

# Kinds for certain calls only: what their path ends with, or has in it.
CALLS = {"never": "/operations/", "failed": "/register"}

# Options of every fault: how often at most, how many are let pass first, how likely, where.
OPTIONS = ("times", "skip", "chance", "path")
OWN_OPTIONS = {"split": ("every",), "status": ("code", "retry-after")}


@dataclass
class Fault:
    """One fault, as it was asked for. Attributes: as the module's docstring and KINDS say."""

    text: str
    service: str
    kind: str
    value: str
    options: dict[str, str]
    seen: int = 0
    done: int = 0

    @property
    def number(self) -> int:
        return int(self.value)

    def option(self, name: str, default: int = 0) -> int:
        return int(self.options.get(name, default))

    @property
    def over(self) -> bool:
        return "times" in self.options and self.done >= self.option("times")


def parse(text: str) -> Fault:
    """Read a fault. Raises ValueError, which says what is wrong with it."""
    service, colon, rest = text.partition(":")
    if not colon or service not in SERVICES:
        raise ValueError(f"{text!r}: a fault begins with {', '.join(SERVICES[:-1])} or all, and :")
    first, *others = rest.split(",")
    kind, equals, value = first.partition("=")
    if kind not in KINDS:
        raise ValueError(f"{text!r}: {kind!r} is no fault; they are {', '.join(KINDS)}")
    wanted = KINDS[kind][0]
    if bool(wanted) != bool(equals and value):
        what = f"a value, {wanted}" if wanted else "no value"
        raise ValueError(f"{text!r}: {kind} takes {what}")
    if kind == "certificate":
        if value not in CERTIFICATES:
            raise ValueError(f"{text!r}: the certificate can be {', '.join(CERTIFICATES)}")
    elif kind == "redirect":
        if not value.isprintable() or " " in value:
            raise ValueError(f"{text!r}: that is no URL")
    elif kind == "status":
        if not value.isdecimal() or not 300 <= int(value) <= 599:
            raise ValueError(f"{text!r}: a status is from 300 to 599")
    elif wanted:
        _check(text, kind, value, LEAST.get(kind, 0))
    options = {}
    for other in others:
        name, equals, given = other.partition("=")
        if name not in (*OPTIONS, *OWN_OPTIONS.get(kind, ())) or not equals:
            raise ValueError(f"{text!r}: {other!r} is no option of {kind}")
        if name == "chance":
            _chance(text, given)
        elif name != "path":
            _check(text, name, given, least=0)
        options[name] = given
    return Fault(text, service, kind, value, options)


def _check(text: str, name: str, value: str, least: int) -> None:
    try:
        valid = least <= int(value) <= 10**9
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text!r}: {name} is a whole number from {least} on")


def _chance(text: str, value: str) -> None:
    try:
        valid = 0 <= float(value) <= 1
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text!r}: chance is from 0 to 1")


class Faults:
    """The faults that are switched on.

    seed  of the generator that chance asks
    """

    def __init__(self, seed: int = 0):
        self._random = random.Random(seed)  # noqa: S311  reproducible on purpose
        self._faults: list[Fault] = []

    def add(self, text: str) -> None:
        """Switch a fault on. Raises ValueError if it is none."""
        self._faults.append(parse(text))

    def clear(self) -> None:
        self._faults.clear()

    def listed(self) -> list[dict]:
        """The faults, and how often each has struck."""
        return [{"fault": fault.text, "times": fault.done} for fault in self._faults]

    def strike(self, service: str, path: str = "", connection: bool = False) -> dict[str, Fault]:
        """Those that strike this request, or this connection, by their kind: counted by that."""
        if not self._faults:  # the usual case is to cost nothing
            return {}
        return {
            fault.kind: fault
            for fault in self._of(service)
            if (fault.kind == "certificate") == connection
            and fault.kind != "skew"
            and fault.options.get("path", "") in path
            and CALLS.get(fault.kind, "") in path
            and self._strikes(fault)
        }

    def skew_s(self, service: str) -> int:
        """How many seconds the service's clock is fast."""
        if not self._faults:
            return 0
        return sum(fault.number for fault in self._of(service) if fault.kind == "skew")

    def _of(self, service: str) -> Iterator[Fault]:
        return (fault for fault in self._faults if fault.service in (service, "all"))

    def _strikes(self, fault: Fault) -> bool:
        fault.seen += 1
        if fault.over or fault.seen <= fault.option("skip"):
            return False
        if self._random.random() >= float(fault.options.get("chance", 1)):
            return False
        fault.done += 1
        return True
