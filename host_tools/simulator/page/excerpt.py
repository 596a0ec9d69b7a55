"""Excerpts of texts that clients have chosen, safe to show."""

from ..store.printable import printable

EXCERPT = 200  # characters


def excerpt(text: str, size: int = 0) -> str:
    """The start of a text, without characters that hide the rest or turn it around.

    size  bytes of the whole text, if this is a part of it
    """
    clean = printable(text, EXCERPT)
    return f"{clean}…" if size > 4 * EXCERPT and len(text) <= EXCERPT else clean
