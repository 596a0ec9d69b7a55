"""make sizes: write firmware/SIZES.md, the size of each module in flash and on the heap."""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import mpy
from microdps_tools import FIRMWARE, interpreter

FILE = FIRMWARE / "SIZES.md"

# The modules for register, poll and send, in the order in which they are imported.
CORE = ["errors", "http", "dps", "hub", "identity", "device", "link"]

HEAD = """\
# Sizes

Written by `make sizes`; the tests fail when it is stale. Flash: bytes of the .mpy file (mpy-cross
-O2). Heap: what an import adds to the GC heap of the 64-bit Unix port, after the modules above it;
a 32-bit board needs about half.

| module | .mpy bytes | heap bytes |
| --- | ---: | ---: |
"""

PROGRAM = """
import gc, sys
sys.path[:] = [{folder!r}, ".frozen"]
def live():
    gc.collect()
    return gc.mem_alloc()
import {frozen}
__import__("microdps")
sizes = [0] * {count}
at = 0
before = live()
for name in {modules!r}:
    __import__("microdps." + name)
    after = live()
    sizes[at] = after - before
    at += 1
    before = live()
print(*sizes)
"""

# MicroPython's own modules that the package uses. They are not counted.
FROZEN = "json, collections, select, socket, time, tls, math, os"


def heap(folder: Path, modules: list[str]) -> list[int]:
    """Heap bytes that the import of each module adds, one after the other."""
    program = PROGRAM.format(
        folder=str(folder), modules=modules, count=len(modules), frozen=FROZEN
    )
    command = [*interpreter.micropython("1M").command, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(size) for size in done.stdout.split()]


def table() -> str:
    """The text of firmware/SIZES.md, measured now."""
    optional = [name for name in mpy.MODULES if name not in CORE]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mpy.compile_to(folder)
        flash = {
            name: (folder / "microdps" / f"{name}.mpy").stat().st_size for name in mpy.MODULES
        }
        grown = dict(zip(CORE, heap(folder, CORE), strict=True))
        for name in optional:
            grown[name] = heap(folder, [*CORE, name])[-1]
    lines = [f"| {name} | {flash[name]} | {grown[name]} |" for name in CORE]
    total = f"{sum(flash[n] for n in CORE)} | {sum(grown[n] for n in CORE)}"
    lines.append(f"| **register, poll, send** | {total} |")
    lines += [f"| {name} | {flash[name]} | {grown[name]} |" for name in optional]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = table()
    if "--check" in sys.argv:
        sys.exit(text != FILE.read_text() and f"{FILE.name} is stale: run 'make sizes'")
    FILE.write_text(text)
    print(text)
