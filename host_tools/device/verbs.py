"""microdps config, check, run, live-check and explain."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from microdps.program import config as device_config

from .. import ToolError, interpreter
from ..certs.slots import SLOTS
from ..colours import coloured
from .defaults import WIFI_PASSWORD_VARIABLE

if TYPE_CHECKING:
    from .check import Finding

# Options of `config` that become keys of config.json.
CONFIG_OPTIONS = (
    "id_scope",
    "registration_id",
    "host",
    "interval_s",
    "messages",
    "transport",
    "outbox",
    "log",
)


def add_config_parser(add) -> None:
    verb = add(
        description="Write and check config.json and an identity in a device's folder. Options"
        " that you leave out keep their current values.",
        epilog="example: microdps config --out device --identity certs/device-01 --roots azure"
        " --id-scope 0ne00111111 --registration-id device-01 --wifi-ssid home",
    )
    verb.add_argument("--out", type=Path, help="folder (device; with --devices: devices)")
    verb.add_argument(
        "--devices",
        type=Path,
        metavar="FOLDER",
        help="configure many devices: a folder in --out for each certificate folder in FOLDER, as"
        " 'microdps certs batch' makes them",
    )
    _add_settings(verb)
    verb.add_argument("--identity", type=Path, help="folder with key.der and cert.der")
    verb.add_argument(
        "--slot",
        choices=SLOTS,
        default="a",
        help="slot of the identity: b for the one after the first (%(default)s)",
    )
    verb.add_argument("--roots", help="'azure', or a file with the trusted roots")
    verb.set_defaults(function=_config)


def _add_settings(verb) -> None:
    """The options that become keys of config.json."""
    verb.add_argument("--id-scope", help="of the DPS instance")
    verb.add_argument("--registration-id", help="the certificate's common name")
    verb.add_argument(
        "--host",
        help=f"of DPS ({device_config.KEYS['host'][1]}, which --roots azure sets as well)",
    )
    verb.add_argument(
        "--wifi-ssid",
        help=f"the password comes from ${WIFI_PASSWORD_VARIABLE}, or you are asked for it",
    )
    verb.add_argument(
        "--wifi-open", action="store_true", help="the Wi-Fi is open, and has no password"
    )
    verb.add_argument("--interval-s", type=float, help="seconds between two messages")
    verb.add_argument("--messages", type=int, help="number of messages to send; 0: no limit")
    verb.add_argument(
        "--transport",
        choices=device_config.CHOICES["transport"],
        help="how messages go to the hub (auto)",
    )
    verb.add_argument(
        "--outbox",
        choices=device_config.CHOICES["outbox"],
        help="which readings are kept on flash until the hub has accepted them (never)",
    )
    verb.add_argument("--log", choices=device_config.CHOICES["log"], help="what the device prints")


# What a verb needs is imported when it runs: so the help appears at once.


def _config(args: argparse.Namespace) -> int:
    from ..certs.rules import id_scope_warning
    from .check import check
    from .config import (
        azure_host,
        check_identity,
        kept_settings,
        wifi_settings,
        write_config,
        write_identity,
    )

    changes = {key: getattr(args, key) for key in CONFIG_OPTIONS if getattr(args, key) is not None}
    if args.wifi_ssid is not None:
        changes["wifi"] = wifi_settings(args.wifi_ssid, args.wifi_open)
    if args.devices:
        return _config_all(args, changes)
    args.out = args.out or Path("device")
    if args.roots == "azure" and args.host is None:
        changes |= azure_host(args.out)
    kept = kept_settings(args.out, changes)
    settings = write_config(args.out, changes)
    write_identity(args.out, args.identity, args.roots, args.slot)
    leaf = check_identity(args.out, args.slot)
    if kept:
        print(f"{args.out}: unchanged: {kept}")
    if warning := id_scope_warning(settings["id_scope"]):
        print(f"note: {warning}")
    # Notes about the certificate are for `check`.
    if _print_findings([one for one in check(args.out, args.slot) if one.fatal]):
        return 1
    until = f"{leaf.not_valid_after_utc:%F}"
    print(f"{args.out}: ready, {leaf.subject.rfc4514_string()} until {until}")
    return 0


def _config_all(args: argparse.Namespace, changes: dict) -> int:
    from ..certs.rules import id_scope_warning
    from .many import configure_all

    out = args.out or Path("devices")
    if args.registration_id or args.identity or args.slot != SLOTS[0]:
        raise ToolError(
            "--devices takes IDs and identities from the certificate folders: leave out"
            " --registration-id, --identity and --slot"
        )
    if args.roots == "azure":
        changes.setdefault("host", device_config.KEYS["host"][1])
    count = configure_all(args.devices, out, changes, args.roots)
    if "id_scope" in changes and (warning := id_scope_warning(changes["id_scope"])):
        print(f"note: {warning}")
    kept = f", {count.kept} without a key left as they are" if count.kept else ""
    print(f"{out}: {count.written} devices ready{kept}")
    return 0


def _print_findings(findings: list["Finding"]) -> bool:
    """Print findings → would a board fail?"""
    for finding in findings:
        print(coloured(str(finding), "red" if finding.fatal else "yellow", sys.stdout))
    return any(finding.fatal for finding in findings)


def _add_folder(verb) -> None:
    verb.add_argument("folder", type=Path, help="device's folder, as 'microdps config' makes it")


def _add_slot(verb) -> None:
    verb.add_argument(
        "--slot", choices=SLOTS, default="a", help="slot of the identity (%(default)s)"
    )


def add_check_parser(add) -> None:
    verb = add(
        description="Find what would fail on the board later, and why, before anything is"
        " flashed. Prints a line for each finding. The exit code is 1 if a board would fail.",
        epilog="example: microdps check device --enrolled certs/intermediate.cert.pem",
    )
    _add_folder(verb)
    _add_slot(verb)
    verb.add_argument(
        "--enrolled", type=Path, help="the certificate in the enrollment, PEM or DER"
    )
    verb.add_argument("--board", metavar="BOARD", help="the board that will get the folder")
    verb.set_defaults(function=_check)


def _check(args: argparse.Namespace) -> int:
    from .. import boards
    from .check import check

    board = boards.load(args.board) if args.board else None
    if _print_findings(check(args.folder, args.slot, args.enrolled, board)):
        return 1
    print(f"{args.folder}: a board can use this")
    return 0


def add_run_parser(add) -> None:
    verb = add(
        description="Run the device's program on this computer, on the real MicroPython.",
        epilog="example: microdps run device",
    )
    _add_folder(verb)
    verb.add_argument(
        "--interpreter",
        choices=("micropython", "cpython"),
        help="(micropython; cpython if PyPI has no MicroPython for this platform)",
    )
    verb.add_argument("--app", action="store_true", help="replace app.py by firmware/app.py")
    verb.add_argument(
        "--keep-going",
        action="store_true",
        help="start the program again after a failure, as a board does",
    )
    verb.add_argument("--heap", help=f"MicroPython's heap ({interpreter.HEAP})")
    verb.set_defaults(function=_run)


def _note(text: str) -> None:
    """Print to stderr: stdout is what the device prints."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def _run(args: argparse.Namespace) -> int:
    from .run import run

    if args.interpreter == "cpython":
        which = interpreter.cpython()
    elif args.interpreter or args.heap:
        which = interpreter.micropython(args.heap or interpreter.HEAP)
    else:
        which = interpreter.find()
    return run(args.folder, which, args.app, args.keep_going, _note)


def add_live_check_parser(add) -> None:
    verb = add(
        description="Check the way to a real DPS and hub, with a device's own files, and say how a"
        " board will send. Nothing is changed except for the registration, which is announced.",
        epilog="example: microdps live-check device",
    )
    _add_folder(verb)
    _add_slot(verb)
    verb.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write all that was seen into FILE, for a report: no secret, no ID in clear",
    )
    verb.set_defaults(function=_live_check)


def _live_check(args: argparse.Namespace) -> None:
    from .live_check import live_check
    from .live_report import Report

    seen = Report()
    try:
        transport = live_check(args.folder, args.slot, print, seen)
    finally:
        if args.report:
            seen.write(args.report)
    print(f"a board will send by {transport.upper()}")
    if args.report:
        print(f"{args.report}: what was seen, without a secret or an ID")


def add_explain_parser(add) -> None:
    verb = add(
        description="Explain an error code, and say what to check.",
        epilog="example: microdps explain 401002",
    )
    verb.add_argument(
        "code",
        nargs="?",
        help="a word that the device printed, Azure's errorCode, a name of IoT Hub's, or a class;"
        " without it, all codes are listed",
    )
    verb.set_defaults(function=_explain)


def _explain(args: argparse.Namespace) -> None:
    from .explain import explain, explain_all

    print(explain(args.code) if args.code else "\n".join(explain_all()))
