"""Explain an error code, with the device's own table (firmware/microdps/advice.txt)."""

from microdps import advice

from .. import ToolError


def explain(code: str) -> str:
    """The meaning of an error code, and the advice for it. Raises ToolError if it is unknown.

    code  a word that the device printed, or Azure's number
    """
    key: str | int = int(code) if code.isdigit() else code
    codes = [line[0] for line in advice.lines()]
    if code not in codes and not (isinstance(key, int) and 100 <= key <= 999_999):
        known = ", ".join(codes)
        raise ToolError(f"there is no error code {code!r}: use one of {known}")
    happened, check = advice.lookup(key)
    return f"{code}: {happened}.\nCheck {check}."
