"""Flash several boards at the same time, each through its own port, until Ctrl-C."""

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from .. import ToolError
from .flash import Attempt, StoppedError
from .flash_devices import delete_keys
from .flash_record import FLASHED, Record

# After Ctrl-C, how long the attempts may take to end by themselves.
END_S = 0.5
WAIT_S = 0.2


def plan(
    ports: list[str], devices: dict[str, Path], again: bool, only: bool
) -> tuple[list[Attempt], list[str]]:
    """An attempt for each port, and the ports for which there is no device.

    devices  those that have no board yet: registration ID → folder. Each port gets its own one,
             and may take one of the spare ones if another run is faster
    """
    names = list(devices)
    spare = names[len(ports) :]
    attempts = [
        Attempt(port, {one: devices[one] for one in [name, *spare]}, again, only)
        for port, name in zip(ports, names, strict=False)
    ]
    return attempts, ports[len(names) :]


def flash_all(
    attempts: list[Attempt],
    record: Record,
    run_one: Callable[[Attempt, Callable[[], None]], None],
    with_keys: bool,
) -> list[str]:
    """Run all attempts at the same time, and print a line for each board → the errors.

    run_one    takes an attempt and a function that raises StoppedError after Ctrl-C
    with_keys  keep the keys; otherwise delete them when a board has them

    Raises KeyboardInterrupt after Ctrl-C; then the record and the printed lines say what was
    written.
    """
    stop = threading.Event()
    results: queue.Queue[tuple[Attempt, BaseException | None]] = queue.Queue()
    errors: dict[Attempt, BaseException | None] = {}
    with _progress(stop) as (progress, logger):

        def work(attempt: Attempt) -> None:
            name = attempt.entry.registration_id
            logger.task.number = progress.add_task(f"{attempt.port} {name}", total=None)
            try:
                run_one(attempt, lambda: _check(stop))
                results.put((attempt, None))
            except BaseException as error:  # the main thread raises it
                results.put((attempt, error))

        for attempt in attempts:
            threading.Thread(target=work, args=(attempt,), daemon=True).start()
        try:
            while len(errors) < len(attempts):
                with contextlib.suppress(queue.Empty):
                    ended, error = results.get(timeout=WAIT_S)
                    errors[ended] = error
        except KeyboardInterrupt:
            stop.set()
            _end_all(attempts, results, errors, record)
    return _print_results(attempts, errors, stop.is_set(), with_keys)


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError("stopped by Ctrl-C")


def _end_all(attempts: list[Attempt], results: queue.Queue, errors: dict, record: Record) -> None:
    """Give all attempts a moment to end; then cut off the others."""
    deadline = time.monotonic() + END_S
    while len(errors) < len(attempts) and time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            ended, error = results.get(timeout=max(0, deadline - time.monotonic()))
            errors[ended] = error
    for attempt in attempts:
        if attempt not in errors:
            attempt.cut_off(record)
            errors[attempt] = StoppedError("stopped by Ctrl-C")


def _print_results(
    attempts: list[Attempt], errors: dict, is_stopped: bool, with_keys: bool
) -> list[str]:
    texts = []
    flashed = 0
    for attempt in attempts:
        error, entry = errors[attempt], attempt.entry
        if error is None or entry.result == FLASHED:
            flashed += 1
            print(
                f"{attempt.port}: {entry.registration_id} is on {entry.mac}, {entry.bytes} bytes"
            )
            if not with_keys and attempt.folder:
                _delete_keys(attempt.folder)
        elif is_stopped:
            print(f"{attempt.port}: stopped, {attempt.done}")
        elif isinstance(error, ToolError):
            texts.append(str(error))
        else:
            raise error
    if is_stopped:
        print(f"stopped: {flashed} of {len(attempts)} boards are flashed; the record has the rest")
        raise KeyboardInterrupt
    return texts


def _delete_keys(folder: Path) -> None:
    count, left = delete_keys(folder)
    print(f"{folder}: {count} files with its keys deleted")
    for path in left:
        print(f"  {path} still holds a key: delete it")


@contextlib.contextmanager
def _progress(stop: threading.Event) -> Iterator[tuple[Progress, Any]]:
    """Progress bars on the terminal, and esptool's logger, which moves the bar of its thread."""
    from esptool.logger import EspLog, EsptoolLogger, log
    from esptool.reset import ResetStrategy

    # It keeps the logger that was there when it was imported.
    ResetStrategy.print_once = staticmethod(lambda text: None)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        logger = _quiet_logger(progress, stop)
        EspLog.instance = EsptoolLogger()
        log.set_logger(logger)
        # It stays: after Ctrl-C, a thread may still be busy.
        yield progress, logger


def _quiet_logger(progress: Progress, stop: threading.Event) -> Any:
    """A logger for esptool that shows nothing but the progress of each thread's own task.

    esptool calls it after each block. After Ctrl-C, that ends the task.
    """
    from esptool.logger import TemplateLogger

    class QuietLogger(TemplateLogger):
        task = threading.local()

        def _nothing(self, *args, **kwargs) -> None:
            pass

        print = note = warning = error = stage = set_verbosity = warn = err = debug = _nothing

        def progress_bar(self, cur_iter, total_iters, *args, **kwargs) -> None:
            _check(stop)
            number = getattr(self.task, "number", None)
            if number is not None:
                progress.update(number, completed=cur_iter, total=total_iters)

    return QuietLogger()
