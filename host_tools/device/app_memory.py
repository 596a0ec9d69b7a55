"""Estimate the memory that a user's own code takes on a board."""

from pathlib import Path

from .program import APP, START_FILES, compile_files

# Bytes of heap for each byte of a .mpy file, as in firmware/SIZES.md; a test compares them.
HEAP_PER_BYTE = 1.5

# Bytes that MicroPython and the program take at the worst moment (firmware/SIZES.md,
# boards/README.md).
TAKEN = 44 * 1024

# What they take more if readings wait in the outbox (firmware/README.md, "Messages that wait").
OUTBOX = 9 * 1024


def code_size(folder: Path) -> int:
    """Bytes of heap for app.py and the modules beside it, once they are imported.

    What they allocate later is not counted. 0 if there is no app.py. Raises ToolError if one of
    them does not compile.
    """
    if not (folder / APP).exists():
        return 0
    paths = [path for path in sorted(folder.glob("*.py")) if path.name not in START_FILES]
    compiled = compile_files([(path, path.name) for path in paths])
    return round(sum(map(len, compiled)) * HEAP_PER_BYTE)
