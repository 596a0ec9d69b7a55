"""microdps simulate."""

import argparse
import re
from pathlib import Path

from microdps.protocol.url import split_host

from .faults import KINDS, OPTIONS, SERVICES, parse
from .run import simulate
from .settings import ERROR_BODIES, Readings, Settings

KEEP_COUNT, KEEP_BYTES = Settings.keep_count, Settings.keep_bytes
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


def add_simulate_parser(add) -> None:
    verb = add(
        description="Run a simulated DPS and IoT hub on this machine, until Ctrl-C.",
        epilog="example: microdps simulate --state .simulator --hub-certificate renegotiate",
    )
    verb.add_argument(
        "--state",
        type=Path,
        default=Path(".simulator"),
        help="folder for its state, its root certificate and its connection string (%(default)s)",
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
    verb.add_argument(
        "--keep",
        type=_keep,
        default=(KEEP_COUNT, KEEP_BYTES),
        metavar="N[,SIZE]",
        help="keep the last N messages, or as many as are at most SIZE large, such as 200MB; older"
        " ones are deleted (1000000,1GB)",
    )
    _add_ports(verb)
    _add_behaviour(verb)
    _add_readings(verb)
    _add_faults(verb)
    verb.set_defaults(function=_simulate)


def _add_ports(verb) -> None:
    verb.add_argument(
        "--names",
        choices=("ports", "azure"),
        default="ports",
        help="how clients tell the services apart: by ports; or by Azure's names, on ports 443 and"
        " 8883 of one address, as Microsoft's SDKs need it (%(default)s)",
    )
    verb.add_argument("--dps-port", type=_port, default=8443, help="0: any (%(default)s)")
    verb.add_argument(
        "--dps-mqtt-port",
        type=_port,
        help="of DPS over MQTT; 0: any (8883 if that is free, else any)",
    )
    verb.add_argument(
        "--hub-port",
        type=_port,
        default=8444,
        help="0: any; its MQTT is on the next port (%(default)s)",
    )
    verb.add_argument(
        "--hubs",
        type=_count,
        default=1,
        metavar="N",
        help="number of linked hubs, on every second port after the first (%(default)s)",
    )
    verb.add_argument(
        "--page-port",
        type=_port,
        default=8442,
        help="of the web page, on loopback only; 0: any (%(default)s)",
    )


def _add_behaviour(verb) -> None:
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
        help="how long DPS asks devices to wait (%(default)s)",
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
        choices=ERROR_BODIES,
        default="legacy",
        help="which of the two documented bodies a hub's errors have (%(default)s)",
    )
    verb.add_argument(
        "--no-limits",
        action="store_true",
        help="switch off the service's limits: 1,000 registrations a minute, 5 polls of a device"
        " in 10 s, 100 messages a second for a minute",
    )


def _add_readings(verb) -> None:
    """How to read what Azure's documents leave open."""
    verb.add_argument(
        "--verified-ca",
        choices=("sent", "stored"),
        default="sent",
        help="the verified CA certificate of a chain: the device must send it, as the documents"
        " say; or it may also have signed the last certificate that is sent (%(default)s)",
    )
    verb.add_argument(
        "--group-device",
        choices=("leaf", "issuer"),
        default="leaf",
        help="how a hub knows a group's device: by the leaf with which it registered; or by any"
        " leaf that the group accepts (%(default)s)",
    )
    verb.add_argument(
        "--unknown-device",
        choices=("401002", "404201"),
        default="401002",
        help="how DPS refuses a certificate that no enrollment accepts (%(default)s)",
    )


def _readings(args: argparse.Namespace) -> Readings:
    return Readings(
        stored_ca=args.verified_ca == "stored",
        group_by_issuer=args.group_device == "issuer",
        unknown_404=args.unknown_device == "404201",
    )


def _add_faults(verb) -> None:
    verb.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="FAULT",
        help="a fault to play; may be given more than once (--help-faults)",
    )
    verb.add_argument(
        "--seed", type=int, default=0, help="of the random generator for faults (%(default)s)"
    )
    verb.add_argument("--help-faults", action=FaultsHelp, nargs=0, help="list the faults, and end")


class FaultsHelp(argparse.Action):
    """Prints the help for --fault."""

    def __call__(self, parser, *_):
        print(faults_help())
        parser.exit()


def faults_help() -> str:
    """The help for --fault."""
    lines = [f"A fault is SERVICE:KIND[=VALUE][,OPTION=VALUE]…, SERVICE is {', '.join(SERVICES)}."]
    for kind, (value, text) in KINDS.items():
        name = f"{kind}={value.upper()}" if value.islower() else f"{kind}={value}".rstrip("=")
        lines.append(f"  {name:<32} {text}")
    lines.append(
        f"Options of all: {', '.join(OPTIONS)}.\n  times=N: at most N times; skip=N: not the first"
        " N calls; chance=P: from 0 to 1;\n  path=TEXT: only if the path contains it."
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


def _keep(text: str) -> tuple[int, int]:
    """How many messages, and how many bytes of them."""
    count, size = KEEP_COUNT, KEEP_BYTES
    for part in text.split(","):
        found = re.fullmatch(r"([1-9][0-9]{0,11})(?:([KMG])B)?", part.strip(), re.IGNORECASE)
        if not found:
            raise argparse.ArgumentTypeError(
                "must be a number of messages, a size such as 200MB or 1GB, or both with a comma"
            )
        if found[2]:
            size = int(found[1]) * UNITS[found[2].upper()]
        else:
            count = int(found[1])
    return count, size


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


def _simulate(args: argparse.Namespace) -> None:
    simulate(
        Settings(
            state=args.state,
            host=args.host,
            id_scope=args.id_scope,
            dps_port=args.dps_port,
            hub_port=args.hub_port,
            names=args.names,
            dps_mqtt_port=args.dps_mqtt_port,
            page_port=args.page_port,
            hubs=args.hubs,
            errors=args.hub_errors,
            limits=not args.no_limits,
            faults=args.fault,
            seed=args.seed,
            late="" if args.hub_certificate == "handshake" else args.hub_certificate,
            retry_after_s=args.retry_after,
            assign_after_s=args.assign_after,
            readings=_readings(args),
            keep_count=args.keep[0],
            keep_bytes=args.keep[1],
        )
    )
