"""microdps simulate: run DPS and an IoT hub on this machine."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from host_tools.simulator.faults import KINDS, OPTIONS, SERVICES, parse
from host_tools.simulator.settings import ERRORS, Settings
from microdps.protocol.url import split_host


def simulate(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Prints one `ready` line, then a line for each request."""
    # Not before it is needed: importing the reactor takes its time, and installs signal handlers.
    from twisted.internet import reactor

    from host_tools.simulator.server import start

    _raise_file_limit()
    running = start(settings, _say)
    _say(f"service API: {running.connection_string}")
    hubs = " ".join(f"hub=https://{hub}" for hub in running.hubs)
    ready = (
        f"ready dps=https://{running.dps} {hubs} page={running.page}"
        f" id_scope={running.id_scope} root={running.root}"
    )
    # Not before the signal handlers are there: whoever reads the line may send a signal at once.
    reactor.callWhenRunning(_say, ready)  # type: ignore
    reactor.run()  # type: ignore


def _raise_file_limit() -> None:
    """As many open connections as the system allows."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say(line: str) -> None:
    """Print a line; whoever read our output may have left, which is no reason to stop serving."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "simulate",
        help="run a simulated DPS and IoT hub",
        description="Run a simulated DPS and IoT hub on this machine, until Ctrl-C.",
        epilog="example: microdps simulate --state .simulator --hub-certificate renegotiate",
    )
    verb.add_argument(
        "--state",
        type=Path,
        default=Path(".simulator"),
        help="folder for what it keeps, its root certificate and connection string among it"
        " (%(default)s)",
    )
    verb.add_argument(
        "--id-scope", type=_id_scope, help="of the simulated DPS (made at the first start)"
    )
    verb.add_argument(
        "--host",
        type=_host,
        default="localhost",
        help="name or IP address of this machine that a board on the desk can reach; without it"
        " nothing listens beyond loopback (%(default)s)",
    )
    verb.add_argument("--dps-port", type=_port, default=8443, help="0: any (%(default)s)")
    verb.add_argument(
        "--hub-port",
        type=_port,
        default=8444,
        help="0: any; its MQTT is on the next one (%(default)s)",
    )
    verb.add_argument(
        "--hubs",
        type=_count,
        default=1,
        metavar="N",
        help="how many linked hubs, on every second port from the first one's on (%(default)s)",
    )
    verb.add_argument(
        "--page-port",
        type=_port,
        default=8442,
        help="of the page to look at, on loopback only; 0: any (%(default)s)",
    )
    verb.add_argument(
        "--hub-certificate",
        choices=("handshake", "renegotiate", "close", "unauthorized"),
        default="handshake",
        help="when the hub asks for the device's certificate on its HTTPS port: in the first"
        " handshake; after the first request, which stock MicroPython refuses; or never, and a"
        " request ends with a close or 401. By MQTT it always asks first (%(default)s)",
    )
    verb.add_argument(
        "--retry-after",
        type=int,
        default=3,
        metavar="S",
        help="what DPS asks devices to wait (%(default)s)",
    )
    verb.add_argument(
        "--assign-after",
        type=float,
        default=1.0,
        metavar="S",
        help="how long a registration stays assigning (%(default)s)",
    )
    verb.add_argument(
        "--hub-errors",
        choices=ERRORS,
        default="legacy",
        help="which of the two documented bodies a hub's errors have (%(default)s)",
    )
    verb.add_argument(
        "--no-limits",
        action="store_true",
        help="let more through than the service would: 1,000 registrations a minute, 5 polls of a"
        " device in 10 s, 100 messages a second for a minute",
    )
    verb.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help="something that goes wrong; may be given more than once (--help-faults)",
    )
    verb.add_argument(
        "--seed", type=int, default=0, help="of what faults leave to chance (%(default)s)"
    )
    verb.add_argument("--help-faults", action=FaultsHelp, nargs=0, help="list the faults, and end")
    verb.set_defaults(function=_run)


class FaultsHelp(argparse.Action):
    """Prints what --fault takes."""

    def __call__(self, parser, *_):
        print(faults_help())
        parser.exit()


def faults_help() -> str:
    """What --fault takes."""
    lines = [f"A fault is SERVICE:KIND[=VALUE][,OPTION=VALUE]…, SERVICE is {', '.join(SERVICES)}."]
    for kind, (value, text) in KINDS.items():
        name = f"{kind}={value.upper()}" if value.islower() else f"{kind}={value}".rstrip("=")
        lines.append(f"  {name:<32} {text}")
    lines.append(
        f"Options of all: {', '.join(OPTIONS)}.\n  times=N: at most so often; skip=N: not the"
        " first N; chance=P: from 0 to 1;\n  path=TEXT: only where the path has it."
    )
    lines.append("example: microdps simulate --fault dps:status=429,retry-after=5,times=2")
    return "\n".join(lines)


def _fault(text: str) -> str:
    try:
        return parse(text).text
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 50:
        raise argparse.ArgumentTypeError("must be from 1 to 50, as for a real DPS instance")
    return count


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return port


def _host(text: str) -> str:
    try:
        port = split_host(text)[1]
    except ValueError:
        port = 0
    if port != 443:
        raise argparse.ArgumentTypeError("must be a name or an IPv4 address, without a port")
    return text


def _id_scope(text: str) -> str:
    if not text.isascii() or not text.isalnum():
        raise argparse.ArgumentTypeError("must be letters and digits")
    return text


def _run(args: argparse.Namespace) -> None:
    simulate(
        Settings(
            state=args.state,
            host=args.host,
            id_scope=args.id_scope,
            dps_port=args.dps_port,
            hub_port=args.hub_port,
            page_port=args.page_port,
            hubs=args.hubs,
            errors=args.hub_errors,
            limits=not args.no_limits,
            faults=args.fault,
            seed=args.seed,
            late="" if args.hub_certificate == "handshake" else args.hub_certificate,
            retry_after_s=args.retry_after,
            assign_after_s=args.assign_after,
        )
    )
