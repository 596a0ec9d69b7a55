"""make sizes: write firmware/SIZES.md, the size of each module in flash and on a board's heap.

Needs Node.js, for the heap is that of MicroPython's 32-bit WebAssembly builds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from memory import guard

from bench import mpy
from microdps_tools import FIRMWARE

FILE = FIRMWARE / "SIZES.md"
RELEASE = "1.27.0"

# What register, poll and send need, in the order in which they are imported.
CORE = ["errors", "session", "identity", "driver.link", "driver.connect", "protocol.url"]
CORE += ["protocol.http", "protocol.response", "protocol.answer", "protocol.dps"]
CORE += ["protocol.registration", "provisioning"]
CORE += ["protocol.hub"]

HEAD = f"""\
# Sizes

Written by `make sizes`; the tests fail when it is stale. Flash: bytes of the .mpy file (mpy-cross
-O2). Heap: what an import adds to the GC heap of MicroPython {RELEASE}, 32-bit, after the modules
above it; tables of names grow in jumps. The program of a board lets go most modules when they have
done their work.

| module | .mpy bytes | heap bytes |
| --- | ---: | ---: |
"""

LIFE = """
What a board's program holds after each phase of its life, without the user's `app.py` and what
MicroPython holds itself (4 kB on an ESP32): `make test-versions` measures it, and fails above
{held} bytes while sending.

| phase | bytes held |
| --- | ---: |
"""

# In memory.mjs nothing of these can be imported: they need asyncio's or a computer's modules.
NOT_THERE = ("aio", "driver.aio", "driver.cpython")


def heap(folder: Path, lists: list[list[str]]) -> list[list[int]]:
    """Heap bytes that the import of each module adds, in order; each list has its own heap."""
    command = ["node", guard.HERE / "imports.mjs", RELEASE, folder, json.dumps(lists)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def table() -> str:
    """The text of firmware/SIZES.md, measured now."""
    optional = [name for name in mpy.MODULES if name not in CORE]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        guard.lay(folder)
        package = folder / "program" / "a" / "microdps"
        flash = {
            name: (package / f"{name.replace('.', '/')}.mpy").stat().st_size
            for name in mpy.MODULES
        }
        there = [name for name in optional if name not in NOT_THERE]
        core, *others = heap(folder, [CORE, *([*CORE, name] for name in there)])
        grown = dict(zip(CORE, core, strict=True))
        grown |= {name: sizes[-1] for name, sizes in zip(there, others, strict=True)}
        life = guard.held(RELEASE, folder)
    lines = [f"| {name} | {flash[name]} | {grown[name]} |" for name in CORE]
    total = f"{sum(flash[n] for n in CORE)} | {sum(grown[n] for n in CORE)}"
    lines.append(f"| **register, poll, send** | {total} |")
    lines += [f"| {name} | {flash[name]} | {grown.get(name, '–')} |" for name in optional]
    held = [f"| {name.replace('_', ' ')} | {size} |" for name, size in life.items()]
    return HEAD + "\n".join(lines) + "\n" + LIFE.format(held=guard.HELD) + "\n".join(held) + "\n"


if __name__ == "__main__":
    text = table()
    if "--check" in sys.argv:
        sys.exit(text != FILE.read_text() and f"{FILE.name} is stale: run 'make sizes'")
    FILE.write_text(text)
    print(text)
