"""Explain an error code: by the device's own table (firmware/microdps/advice.txt), the names that
IoT Hub uses, and the classes of the device package's errors."""

import inspect
from collections.abc import Iterator

from microdps import advice, errors
from microdps.program.config import ConfigError

from .. import ToolError
from ..words import nearest
from .hub_codes import HUB_CODES, hub_code


def classes() -> dict[str, str]:
    """The device package's errors: name → its meaning, the first paragraph of its docstring."""
    found = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.Error)
    }
    found["ConfigError"] = ConfigError
    return {
        name: " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())
        for name, kind in found.items()
    }


def explain(code: str) -> str:
    """The meaning of an error code, and the advice for it. Raises ToolError if it is unknown.

    code  a word that the device printed, Azure's number, a name of IoT Hub's, or a class
    """
    table = {line[0].lower(): line for line in advice.lines()}
    if code.lower() in table:
        name, happened, check = table[code.lower()]
        return f"{name}: {happened}.\nCheck {check}."
    if known := hub_code(code):
        status, happened, check = known
        return f"{code}: {happened} (HTTP {status}).\nCheck {check}."
    for name, text in classes().items():
        if code.lower() == name.lower():
            return f"{name}: {text}"
    number = int(code) if code.isascii() and code.isdigit() else 0
    if not (100 <= number <= 599 or 100_000 <= number <= 599_999):
        words = [*table, *(name for names, *_ in HUB_CODES for name in names), *classes()]
        raise ToolError(
            f"there is no error code {code!r}: 'microdps explain' lists all{nearest(code, words)}"
        )
    status = number if number < 1000 else number // 1000
    happened, check = advice.lookup(number)
    return f"{code}: not in the table; it stands for HTTP {status}: {happened}.\nCheck {check}."


def explain_all() -> Iterator[str]:
    """A line for each code with its meaning."""
    yield "printed by a device:"
    for code, happened, _ in advice.lines():
        yield f"  {code:<26} {happened}"
    yield "sent by IoT Hub:"
    for names, status, happened, _ in HUB_CODES:
        yield f"  {', '.join(names):<40} HTTP {status}, {happened}"
    yield "classes in a program:"
    for name, text in classes().items():
        yield f"  {name:<26} {text}"
