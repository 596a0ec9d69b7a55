"""microdps simulate: run DPS and an IoT hub on this machine."""

import argparse
import os
import sys
from pathlib import Path

from host_tools.simulator.server import Settings
from microdps.http import split_host


def simulate(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Prints one `ready` line, then a line for each request."""
    # Not before it is needed: importing the reactor takes its time, and installs signal handlers.
    from twisted.internet import reactor

    from host_tools.simulator.server import start

    running = start(settings, _say)
    _say(f"service API: {running.connection_string}")
    ready = (
        f"ready dps=https://{running.dps} hub=https://{running.hub}"
        f" id_scope={running.id_scope} root={running.root}"
    )
    # Not before the signal handlers are there: whoever reads the line may send a signal at once.
    reactor.callWhenRunning(_say, ready)  # type: ignore
    reactor.run()  # type: ignore


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
    verb.set_defaults(function=_run)


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
            late="" if args.hub_certificate == "handshake" else args.hub_certificate,
            retry_after_s=args.retry_after,
            assign_after_s=args.assign_after,
        )
    )
