"""Colours on a terminal, and none elsewhere."""

import os
from typing import TextIO


def coloured(text: str, style: str, stream: TextIO) -> str:
    """The text in a style of rich's, if the stream is a terminal that shows colours.

    NO_COLOR (no-color.org) and TERM=dumb switch colours off.
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    from rich.console import Console

    console = Console(file=stream, force_terminal=True, highlight=False)
    with console.capture() as shown:
        console.print(text, style=style, end="", markup=False, soft_wrap=True)
    return shown.get()
