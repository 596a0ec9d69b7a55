"""Texts that peers have chosen, safe to print: on one line, and without hidden characters."""


def printable(text: str, limit: int) -> str:
    """The start of a text. Characters that would bend a line or hide others are replaced."""
    clean = text[:limit]
    if not clean.isprintable():
        clean = "".join(
            char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in clean
        )
    return clean if len(text) <= limit else f"{clean}…"
