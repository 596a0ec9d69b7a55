"""Deploy: put the program on a board, over its serial port or a socket.

deploy_plan.py decides the steps, and raw_repl.py talks to the board.
"""

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from .. import FIRMWARE, ToolError
from ..certs.slots import IDENTITY, IDENTITY_FILES, slot_folder, used_slots
from ..device.program import APP, CONFIG, PROGRAM, START_FILES, USE, digest
from .deploy_plan import BoardState, Plan, make_plan
from .raw_repl import RawRepl

BLOCK = 4096
SPARE_BLOCKS = 4  # littlefs needs them to replace files and folders


def device_files(folder: Path) -> dict[str, bytes]:
    """config.json and the identities of a device's folder: name in a slot → content.

    Raises ToolError.
    """
    paths = {CONFIG: folder / CONFIG}
    for slot in used_slots(folder):
        for name in IDENTITY_FILES:
            paths[f"{IDENTITY}/{slot}/{name}"] = slot_folder(folder, slot) / name
    try:
        return {target: path.read_bytes() for target, path in paths.items()}
    except OSError as error:
        raise ToolError(
            f"cannot read {error.filename} ({error.strerror}): make it with 'microdps config'"
        ) from error


def deploy(port: str, files: dict[str, bytes], others: dict[str, bytes], app: bool = False) -> str:
    """Put a program on a board, and restart the board → a line about the result.

    port    as mpremote takes it
    files   the program, as compile_program() returns it, and the device's files, if they are to
            be replaced, as device_files() returns them
    others  more files for the board: path → content
    app     replace an existing app.py

    Raises ToolError; then the old program stays in use.
    """
    start = time.monotonic()
    base = {f"/{name}": (FIRMWARE / name).read_bytes() for name in (*START_FILES, APP)}
    others = base | others
    repl = RawRepl(port)
    try:
        repl.interrupt()
        state = repl.read_state([*others, *(f"{path}.new" for path in others), PROGRAM])
        note = _note_about_app(state, others[f"/{APP}"], app)
        if f"/{APP}" in state.files and not app:
            del others[f"/{APP}"]
        plan = make_plan(state, files, others)
        try:
            carry_out(repl, plan, state)
        except ToolError:
            if repl.is_full:  # the program that stays needs room as well
                repl.run("\n".join(f"remove({path!r})" for path in _targets(plan)[:-1]))
            raise
        repl.reset()
    except BaseException:
        repl.restart_program()
        raise
    finally:
        repl.close()
    return f"{port}: {_result(plan, time.monotonic() - start)}{note}"


def _result(plan: Plan, seconds: float) -> str:
    if plan.is_empty:
        return "unchanged, and restarted"
    return (
        f"{len(plan.send)} files sent, {len(plan.copy)} copied on the board,"
        f" {sum(map(len, plan.send.values()))} bytes in {seconds:.1f} s; the program is in slot"
        f" {plan.slot}"
    )


def _note_about_app(state: BoardState, content: bytes, app: bool) -> str:
    """What is said if the board keeps an app.py that is not firmware/app.py."""
    on_board = state.files.get(f"/{APP}")
    if app or on_board is None or on_board == digest(content):
        return ""
    return "\nnote: app.py on the board differs from firmware/app.py: --app replaces it"


def carry_out(repl: RawRepl, plan: Plan, state: BoardState) -> None:
    """Carry out a plan. Raises ToolError; then the old program stays in use."""
    if plan.is_empty:
        return
    _check_room(repl, plan, state)
    repl.outcome = "the old program stays in use"
    folders = sorted({path.rpartition("/")[0] + "/" for path in _targets(plan)})
    code = [f"make_folders({path!r})" for path in folders]
    code += [f"replace({USE!r}, {plan.use_before!r})"] if plan.use_before else []
    code += [f"remove({path!r})" for path in plan.remove]
    repl.run("\n".join(code))
    _copy_and_send(repl, plan)
    _verify(repl, plan.send)
    # boot.py comes before /program/use, because it reads that file. main.py comes after it,
    # because it runs the program that the file names.
    code = [f"os.rename({old!r}, {new!r})" for old, new in plan.rename if new != "/main.py"]
    code += [f"replace({USE!r}, {plan.use_after!r})"] if plan.use_after else []
    code += [f"os.rename({old!r}, {new!r})" for old, new in plan.rename if new == "/main.py"]
    repl.run("\n".join(code))


def _copy_and_send(repl: RawRepl, plan: Plan) -> None:
    total = len(plan.copy) + sum(map(len, plan.send.values()))
    hidden = not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as progress:
        bar = progress.add_task("copying", total=total)
        for source, target in plan.copy:
            repl.run(f"copy({source!r}, {target!r})")
            progress.advance(bar)
        for path, content in plan.send.items():
            for written in repl.write(path, content):
                progress.advance(bar, written)


def _targets(plan: Plan) -> list[str]:
    """The files that are written; /program/use is the last one."""
    return [*plan.send, *(target for _, target in plan.copy), USE]


def _check_room(repl: RawRepl, plan: Plan, state: BoardState) -> None:
    """Raises ToolError if there is no room for the new files. A replaced file needs none."""
    sizes = [len(plan.send.get(path, b"")) for path in _targets(plan) if path not in state.files]
    needed = sum(max(1, -(-size // BLOCK)) * BLOCK for size in sizes) + SPARE_BLOCKS * BLOCK
    if needed > state.free:
        raise ToolError(
            f"the file system of {repl.port} is full: {needed // 1024} kB are needed, and"
            f" {state.free // 1024} kB are free; delete files that you do not need, and deploy"
            " again"
        )


def _verify(repl: RawRepl, sent: dict[str, bytes]) -> None:
    """Compare the files on the board with those that were sent. Raises ToolError."""
    lines = repl.run(f"for path in {list(sent)!r}:\n    show(path)")
    found = {line.split(" ", 2)[2]: line.split(" ", 2)[1] for line in lines}
    wrong = [path for path, content in sent.items() if found.get(path) != digest(content)]
    if wrong:
        raise ToolError(
            f"{wrong[0]} on {repl.port} differs from the file that was sent: {repl.outcome}; check"
            " the cable and the flash, and deploy again"
        )
