"""Run the simulator in this process, until a signal ends it."""

import contextlib
import gc
import os
import sys

from .settings import Settings

# How many new objects there may be before Python looks for garbage (usually 700).
GARBAGE = 20_000


def simulate(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Prints one `ready` line, then a line for each request."""
    # Imported here, because the reactor takes long to load, and installs signal handlers.
    from twisted.internet import reactor

    from .server import start

    _raise_file_limit()
    running = start(settings, _print_line)
    file = settings.state / "connection-string.key.txt"
    _print_line(f"service API: its connection string is in {file}")
    hubs = " ".join(f"hub=https://{hub}" for hub in running.hubs)
    mqtt = f" dps_mqtt={running.dps_mqtt}" if running.dps_mqtt else ""
    keep = f"{settings.keep_count},{settings.keep_bytes // 10**6}MB"
    ready = (
        f"ready dps=https://{running.dps} {hubs} page={running.page}{mqtt} keep={keep}"
        f" id_scope={running.id_scope} root={running.root}"
    )
    # Printed when the signal handlers are installed: a reader of the line may send a signal.
    reactor.callWhenRunning(_print_line, ready)  # type: ignore
    # What is there now stays, and a request leaves few cycles: look for these less often.
    gc.freeze()
    gc.set_threshold(GARBAGE)
    reactor.run()  # type: ignore


def _raise_file_limit() -> None:
    """Allow as many open connections as the system does."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # then the limit stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _print_line(line: str) -> None:
    """Print a line. If nobody reads our output any more, go on serving."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
