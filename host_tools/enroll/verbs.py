"""microdps enroll: enroll a device, or all devices of an issuer, with DPS (its service API).

The connection string comes from the environment or a file, never from the command line, where
others could read it. What is enrolled already as it is asked for is left alone.
"""

import argparse
import shlex
from pathlib import Path

from . import ca_certificates as authority
from .service_api import (
    ALLOCATIONS,
    ENVIRONMENT,
    KINDS,
    REPROVISION,
    Service,
    connection_string,
    ensure,
    record,
)

# Verb → path of the service API, and the Azure CLI's noun.
PATHS = {"individual": "enrollments", "group": "enrollmentGroups"}
NOUNS = {"individual": "enrollment", "group": "enrollment-group"}

AZ_REPROVISION = {
    "migrate": "reprovisionandmigratedata",
    "reset": "reprovisionandresetdata",
    "never": "never",
}
SIMULATED = (
    "--connection-string-file .simulator/connection-string.key.txt --ca .simulator/root.cert.pem"
)


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "enroll",
        help="enroll devices with DPS",
        description=__doc__,
        epilog="example: microdps enroll group group-01 --cert certs/intermediate.cert.pem",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    for name, text, example in (
        ("individual", "one device, by its own certificate", "device-01 --cert certs/device-01"),
        ("group", "all devices of an issuer", "group-01 --cert certs/intermediate"),
    ):
        suffix = "/cert.pem" if name == "individual" else ".cert.pem"
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Enroll {text}. What is not given stays as it is, where it is enrolled.",
            epilog=f"example: microdps enroll {name} {example}{suffix} {SIMULATED}",
        )
        _add_enrollment(kind, name)
    kind = kinds.add_parser(
        "list",
        help="what is enrolled",
        description="List enrollments and enrollment groups.",
        epilog=f"example: microdps enroll list {SIMULATED}",
    )
    add_service(kind)
    kind.set_defaults(function=_list)
    kind = kinds.add_parser(
        "delete",
        help="an enrollment or a group",
        description="Delete an enrollment. A hub that it has led to keeps its devices.",
        epilog=f"example: microdps enroll delete individual device-01 {SIMULATED}",
    )
    kind.add_argument("kind", choices=PATHS)
    kind.add_argument("id", help="registration ID, or group's ID")
    _add_dry_run(kind)
    add_service(kind)
    kind.set_defaults(function=_delete)
    add_service(authority.add_parser(kinds), "the simulator's, instead of signing in to Azure")


def _add_enrollment(kind, name: str) -> None:
    kind.add_argument("id", help="registration ID" if name == "individual" else "group's ID")
    attestation = kind.add_mutually_exclusive_group(required=True)
    attestation.add_argument("--cert", type=Path, metavar="FILE", help="PEM or DER")
    if name == "group":
        attestation.add_argument("--ca-name", help="of an uploaded CA certificate instead")
    kind.add_argument(
        "--secondary-cert",
        type=Path,
        metavar="FILE",
        help="a second certificate that is let in, while devices go from one to the other",
    )
    if name == "individual":
        kind.add_argument("--device-id", help="device ID in the hub (the registration ID)")
    kind.add_argument(
        "--disabled", action="store_true", help="nobody is let in by it; enabled without"
    )
    kind.add_argument(
        "--allocation-policy", choices=ALLOCATIONS, help="which of the linked hubs (hashed)"
    )
    kind.add_argument(
        "--iot-hub",
        action="append",
        default=[],
        metavar="HOST",
        help="a linked hub that it may use (repeatable; all of them)",
    )
    kind.add_argument(
        "--reprovision-policy",
        choices=REPROVISION,
        help="what becomes of its data when a device registers again (migrate)",
    )
    _add_dry_run(kind)
    add_service(kind)
    kind.set_defaults(function=_enroll, kind=name, device_id=None, ca_name=None)


def _add_dry_run(kind) -> None:
    kind.add_argument(
        "--dry-run", action="store_true", help="print the Azure CLI's command, change nothing"
    )


def add_service(kind, text: str = f"instead of ${ENVIRONMENT}") -> None:
    """The arguments that say which DPS it is."""
    kind.add_argument("--connection-string-file", type=Path, metavar="FILE", help=text)
    kind.add_argument(
        "--ca", type=Path, metavar="FILE", help="root of the service's certificate (PEM)"
    )


def command(kind: str, wanted: dict, cert: Path | None, secondary: Path | None = None) -> str:
    """The Azure CLI's command that makes this enrollment, for a dry run."""
    words = ["az", "iot", "dps", NOUNS[kind], "create", "--dps-name", "DPS"]
    words += ["--resource-group", "GROUP", "--enrollment-id", wanted[KINDS[PATHS[kind]][0]]]
    if kind == "individual":
        words += ["--attestation-type", "x509"]
    reference = wanted["attestation"]["x509"].get("caReferences")
    if reference:
        words += ["--ca-name", reference["primary"]]
    else:
        words += ["--certificate-path", str(cert)]
    if secondary:
        words += ["--secondary-certificate-path", str(secondary)]
    if "deviceId" in wanted:
        words += ["--device-id", wanted["deviceId"]]
    words += ["--provisioning-status", wanted["provisioningStatus"]]
    if "allocationPolicy" in wanted:
        words += ["--allocation-policy", wanted["allocationPolicy"].lower()]
    if "iotHubs" in wanted:
        words += ["--iot-hubs", " ".join(wanted["iotHubs"])]
    if "reprovisionPolicy" in wanted:
        (name,) = (n for n, policy in REPROVISION.items() if policy == wanted["reprovisionPolicy"])
        words += ["--reprovision-policy", AZ_REPROVISION[name]]
    return shlex.join(words)


def _service(args: argparse.Namespace) -> Service:
    return Service(connection_string(args.connection_string_file), args.ca)


def _enroll(args: argparse.Namespace) -> None:
    wanted = record(
        PATHS[args.kind],
        args.id,
        cert=args.cert,
        secondary=args.secondary_cert,
        ca_name=args.ca_name,
        device_id=args.device_id,
        disabled=args.disabled,
        allocation=args.allocation_policy,
        hubs=args.iot_hub,
        reprovision=args.reprovision_policy,
    )
    if args.dry_run:
        print(command(args.kind, wanted, args.cert, args.secondary_cert))
        return
    what, kept = ensure(_service(args), PATHS[args.kind], wanted)
    print(f"{what}: {args.kind} {args.id}, {kept['provisioningStatus']}")


def _list(args: argparse.Namespace) -> None:
    service = _service(args)
    for kind, path in PATHS.items():
        for one in service.listed(path):
            print(f"{kind:<10} {one[KINDS[path][0]]}, {one['provisioningStatus']}")


def _delete(args: argparse.Namespace) -> None:
    if args.dry_run:
        words = ["az", "iot", "dps", NOUNS[args.kind], "delete", "--dps-name", "DPS"]
        words += ["--resource-group", "GROUP", "--enrollment-id", args.id]
        print(shlex.join(words))
        return
    service = _service(args)
    kept = service.get(PATHS[args.kind], args.id)
    if kept is None:
        print(f"unchanged: there is no {args.kind} {args.id}")
        return
    service.delete(PATHS[args.kind], args.id, kept.get("etag", "*"))
    print(f"deleted: {args.kind} {args.id}")
