"""Excerpts of texts that clients have chosen, safe to show."""

EXCERPT = 200  # characters


def excerpt(text: str, size: int = 0) -> str:
    """The start of a text, without characters that hide the rest or turn it around.

    size  bytes of the whole text, if this is a part of it
    """
    clean = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:EXCERPT]
    )
    return clean if len(text) <= EXCERPT and size <= 4 * EXCERPT else f"{clean}…"
