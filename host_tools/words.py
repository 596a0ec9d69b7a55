"""Find the word that a user may have meant."""

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word that a wrong one may mean, as the end of a sentence; "" if there is none."""
    known = {one.lower(): one for one in words}
    found = difflib.get_close_matches(word.lower(), known, 1)
    return f"; did you mean {known[found[0]]}?" if found else ""
