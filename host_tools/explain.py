"""microdps explain: what an error code means, and what to check."""

import argparse

from host_tools import ToolError
from microdps import advice


def explain(code: str) -> str:
    """The device's own words for a code: one of its words, or Azure's number. Raises ToolError."""
    key: str | int = int(code) if code.isdigit() else code
    codes = [line[0] for line in advice.lines()]
    if code not in codes and not (isinstance(key, int) and 100 <= key <= 999_999):
        known = ", ".join(codes)
        raise ToolError(f"there is no error code {code!r}; there are {known}")
    happened, check = advice.lookup(key)
    return f"{code}: {happened}.\nCheck {check}."


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "explain",
        help="what an error code means, and what to check",
        description="Say what an error code means, and what to check.",
        epilog="example: microdps explain 401002",
    )
    verb.add_argument("code", help="a word of the device's, or Azure's errorCode")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    print(explain(args.code))
