"""An error as a sentence: what happened, and what to check. Loaded when an error is shown.

The sentences lie in advice.txt beside this file, a line for each code: `code|what happened|what to
check`. They stay in flash: a board has no memory for all of them. A build of MicroPython with the
package frozen into it has no such file; the code is shown then, and the command that explains it.
"""

_FILE = __file__.rsplit("/", 1)[0] + "/advice.txt"


def lines():
    """The table → (code, what happened, what to check) for each code, all str. Raises OSError."""
    with open(_FILE, encoding="utf-8") as file:
        for line in file:
            if line[0] != "#":
                yield line.rstrip().split("|")


def lookup(*codes):
    """What happened and what to check, for the first of the codes that stands in the table.

    An errorCode or a status that is not in it is looked up by its HTTP status and its class.
    """
    wanted: list[str] = []
    for code in codes:
        wanted.append(str(code))
        if isinstance(code, int):
            status = code // 1000 if code > 999 else code
            wanted += [str(status), "500" if status >= 500 else ""]
    best = len(wanted)
    found = ("the service answered with an error", "its message")
    try:
        for code, happened, check in lines():
            if code in wanted[:best]:
                best = wanted.index(code)
                found = happened, check
    except OSError:
        return "error code %s" % codes[0], "it with 'microdps explain %s'" % codes[0]
    return found


def text(error) -> str:
    """An error as one sentence: where, what happened, what to check, what the service said."""
    code, where = error.args
    status = getattr(error, "status", 0)
    happened, check = lookup(code, status) if status else lookup(code)
    line = "%s: %s. Check %s." % (where, happened, check)
    if status:
        line += " [HTTP %d" % status
        for name, value in (
            ("errorCode", error.error_code),
            ("message", error.message),
            ("tracking ID", error.tracking_id),
        ):
            if value:
                line += ", %s %s" % (name, value)
        line += "]"
    return line
