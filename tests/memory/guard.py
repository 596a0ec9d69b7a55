"""How much memory a board's program holds, and needs at its worst moment.

*Held*: on MicroPython's 32-bit WebAssembly builds, after each phase of the program's life
(life.py). *At most*: the smallest heap of the 64-bit Unix port in which the whole life passes,
times the ratio of 32-bit to 64-bit sizes, which is measured too.

The collector is conservative: a stale word that looks like an object's address keeps that object,
and all that it refers to. Where the objects lie decides which; 3 KB more, or none, are held then.
So each figure is taken in several layouts, in which some bytes that lie first move all others, and
the best one counts: that is what the program needs, and the rest is chance.
"""

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from microdps_tools import CHECKOUT, FIRMWARE, interpreter
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import device_files
from microdps_tools.certs.making import CertAndKey, issue
from microdps_tools.device.config import write_config, write_identity
from microdps_tools.device.program import compile_program
from microdps_tools.files import write_files

HERE = CHECKOUT / "tests" / "memory"
RELEASES = ("1.24.1", "1.27.0")

# Bytes of a 32-bit heap, without the user's app.py.
HELD = 30 * 1024
AT_MOST = 40 * 1024

# The phases that end while messages are sent without trouble.
SENDING = ("register", "send", "send_by_mqtt", "expires_soon")

# When the identities become valid: in a life whose clock is first unset, then set to 2026.
NOT_YET_SET = datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC)
FIRST_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

# The bytes that move all others: a block of 16 more in each layout.
LAYOUTS = range(0, 256, 16)

# The step of the search for the smallest heap, and a heap that is large enough, in bytes.
STEP = 512
ROOMY = 160 * 1024

ID_SCOPE = "0ne00111111"
NAME = "device-01"


def lay(folder: Path) -> None:
    """Put a board's files into a folder: program, configuration, and two identities, each with a
    chain of leaf and intermediate and Azure's two roots; and the scripted world."""
    intermediate = issue("intermediate", issue("root", ca=True), ca=True)
    for name, start in (("first", NOT_YET_SET), ("later", FIRST_DAY)):
        pair = _issue(intermediate, start)
        made = folder / "made" / name
        write_files(made, device_files(pair, [intermediate.cert]))
        write_identity(made, made, "azure")
    (folder / "identity").mkdir()
    shutil.move(folder / "made" / "first" / "identity" / "a", folder / "identity" / "a")
    shutil.move(folder / "made" / "later" / "identity" / "a", folder / "later")
    shutil.rmtree(folder / "made")
    wifi = {"ssid": "home", "password": "12345678"}
    write_config(folder, {"id_scope": ID_SCOPE, "registration_id": NAME, "wifi": wifi})
    for name, content in compile_program().items():
        path = folder / "program" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("app.py", "boot.py", "main.py"):
        shutil.copyfile(FIRMWARE / name, folder / name)
    (folder / "tests").mkdir()
    for name in ("world.py", "life.py"):
        shutil.copyfile(HERE / name, folder / "tests" / name)


def _issue(issuer: CertAndKey, start: datetime.datetime) -> CertAndKey:
    """A device's certificate whose checksum is a small integer on 32 bit. Others take 16 bytes,
    and the figures would differ from run to run."""
    while True:
        pair = issue(NAME, issuer, start=start, days=36_500)
        if zlib.crc32(encoding.der(pair.cert)) < 2**30:
            return pair


def held(release: str, folder: Path, more: int = 0) -> dict[str, int]:
    """Phase → bytes held after it on a 32-bit build in the best layout, the most where a phase
    comes twice.

    more  bytes that are held besides

    Raises CalledProcessError if the life does not pass.
    """
    command = ["node", HERE / "held.mjs", release, folder, str(more), *map(str, LAYOUTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        done.check_returncode()
    phases: dict[str, int] = {}
    for name, size in json.loads(done.stdout):
        phases[name] = max(size, phases.get(name, 0))
    return phases


def live(
    folder: Path, heap: int, more: int = 0, phases: str = "PHASES", layout: int = 0
) -> dict[str, int] | None:
    """The same on the Unix port in a heap of a size, in one layout; None if the life does not pass
    in it."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "board"
        shutil.copytree(folder, work)
        code = f"""
import sys
sys.path[:] = ["program/a", "", "tests", ".frozen"]
import world
world.install()
import app, life
life.layout = bytearray({layout})
life.more = bytearray({more})
life.main(life.{phases})
"""
        command = [*interpreter.micropython(str(heap)).command, "-c", code]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    # `status` prints the errors of before, indented; the life has one that the world has made.
    shown = [line for line in done.stdout.splitlines() if line[:2] != "  "]
    short = sum("MemoryError" in line or ": GC heap " in line for line in shown)
    lines = [line.split() for line in shown]
    if ["the", "end"] not in lines or short > (phases == "PHASES"):
        return None
    sizes = {"before": 0}
    for line in lines:
        if line[:1] == ["before"]:
            sizes["before"] = int(line[1])
        elif line[:1] == ["phase"]:
            sizes[line[1]] = max(int(line[2]), sizes.get(line[1], 0))
    return sizes


def held_on_unix(folder: Path) -> dict[str, int]:
    """Phase → bytes held after it on the Unix port, in the best layout. Raises AssertionError if
    the life does not pass even in a roomy heap."""
    least: dict[str, int] = {}
    for layout in LAYOUTS:
        sizes = live(folder, ROOMY, layout=layout)
        assert sizes, "the life does not pass even in a roomy heap"
        least = {name: min(size, least.get(name, size)) for name, size in sizes.items()}
    return least


def passes(folder: Path, size: int, more: int) -> bool:
    """Do all lives pass in a heap of so many bytes, apart from what the world takes itself, each
    in one of the layouts?"""
    for phases in ("PHASES", "LATER"):
        before = (live(folder, ROOMY, 0, phases) or {})["before"]
        if not any(live(folder, before + size + n, more, phases, n) for n in LAYOUTS):
            return False
    return True


def smallest(folder: Path, guess: int, more: int = 0) -> int:
    """The smallest heap of the Unix port from which on all lives pass, in bytes, to the next STEP.

    guess  where to look first. The search goes step by step, and ends at the first heap that is
           too small
    """
    size = -(-guess // STEP) * STEP
    while not passes(folder, size, more):
        size += STEP
    while passes(folder, size - STEP, more):
        size -= STEP
    return size


def ratio(small: dict[str, int], large: dict[str, int]) -> float:
    """32-bit sizes to 64-bit sizes, over all phases."""
    return sum(small.values()) / sum(large[name] for name in small)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the memory of a board's program.")
    parser.add_argument(
        "releases", nargs="*", default=RELEASES, help="MicroPython's (%(default)s)"
    )
    parser.add_argument("--more", type=int, default=0, help="bytes to hold besides")
    args = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay(folder)
        large = held_on_unix(folder)
        unix = 0
        for release in args.releases:
            small = held(release, folder, args.more)
            for name, size in small.items():
                print(f"  {release} {name:18} {size:6} bytes held, {large[name]:6} on 64 bit")
            part = ratio(small, large)
            unix = unix or smallest(folder, int(AT_MOST / part), args.more)
            sending = max(small[name] for name in SENDING)
            most = round(unix * part)
            print(f"heap 32-bit {release}: {sending} bytes held while sending, {most} at most")
            missed |= sending > HELD or most > AT_MOST
    if missed:
        print(f"missed: {HELD} bytes held while sending, {AT_MOST} at most", file=sys.stderr)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
