"""microdps enroll: enroll one device, or all devices below a CA, through DPS's service API.

The connection string comes from the environment or a file, never from the command line, where
others could read it. An enrollment that already is as requested is left alone.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import ToolError
from ..certs.defaults import PASSPHRASE_VARIABLE
from .policies import ALLOCATIONS, KINDS, REPROVISION, VARIABLE

if TYPE_CHECKING:
    from ..certs.keys import PrivateKey
    from .service_api import ServiceApi

# Kind on the command line → path of the service API.
PATHS = {"individual": "enrollments", "group": "enrollmentGroups"}

SIMULATOR = (
    "--connection-string-file .simulator/connection-string.key.txt --ca .simulator/root.cert.pem"
)


def add_enroll_parser(add) -> None:
    verb = add(
        description=__doc__,
        epilog="example: microdps enroll group group-01 --cert certs/intermediate.cert.pem",
    )
    kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True)
    _add_individual_and_group(kinds)
    _add_list(kinds)
    _add_delete(kinds)
    _add_ca(kinds)


def _add_individual_and_group(kinds) -> None:
    for name, text, example in (
        ("individual", "one device, by its own certificate", "device-01 --cert certs/device-01"),
        ("group", "all devices below a CA", "group-01 --cert certs/intermediate"),
    ):
        suffix = "/cert.pem" if name == "individual" else ".cert.pem"
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"Enroll {text}. If it is already enrolled, options that you leave out"
            " keep their current values.",
            epilog=f"example: microdps enroll {name} {example}{suffix} {SIMULATOR}",
        )
        _add_enrollment(kind, name)
        _add_policies(kind)
        _add_dry_run(kind)
        _add_service(kind)
        kind.set_defaults(function=_enroll, kind=name, device_id=None, ca_name=None)


def _add_enrollment(kind, name: str) -> None:
    kind.add_argument("id", help="registration ID" if name == "individual" else "group's ID")
    attestation = kind.add_mutually_exclusive_group(required=True)
    attestation.add_argument("--cert", type=Path, metavar="FILE", help="PEM or DER")
    if name == "group":
        attestation.add_argument(
            "--ca-name", help="name of an uploaded CA certificate, instead of --cert"
        )
    kind.add_argument(
        "--secondary-cert",
        type=Path,
        metavar="FILE",
        help="a second certificate that DPS accepts as well, while devices change to it",
    )
    if name == "individual":
        kind.add_argument("--device-id", help="device ID in the hub (the registration ID)")
    kind.add_argument(
        "--disabled", action="store_true", help="DPS refuses its devices; without it: enabled"
    )


def _add_policies(kind) -> None:
    kind.add_argument(
        "--allocation-policy",
        choices=ALLOCATIONS,
        help="how DPS chooses among the linked hubs (hashed)",
    )
    kind.add_argument(
        "--iot-hub",
        action="append",
        default=[],
        metavar="HOST",
        help="a linked hub that DPS may choose (repeatable; all of them)",
    )
    kind.add_argument(
        "--reprovision-policy",
        choices=REPROVISION,
        help="what DPS does with a device's data when it registers again (migrate)",
    )


def _add_list(kinds) -> None:
    kind = kinds.add_parser(
        "list",
        help="the enrollments and enrollment groups",
        description="List enrollments and enrollment groups.",
        epilog=f"example: microdps enroll list {SIMULATOR}",
    )
    _add_service(kind)
    kind.set_defaults(function=_list)


def _add_delete(kinds) -> None:
    kind = kinds.add_parser(
        "delete",
        help="an enrollment or a group",
        description="Delete an enrollment. Devices that it has assigned to a hub stay there.",
        epilog=f"example: microdps enroll delete individual device-01 {SIMULATOR}",
    )
    kind.add_argument("kind", choices=PATHS)
    kind.add_argument("id", help="registration ID, or group's ID")
    _add_dry_run(kind)
    _add_service(kind)
    kind.set_defaults(function=_delete)


def _add_ca(kinds) -> None:
    kind = kinds.add_parser(
        "ca",
        help="CA certificates, for groups that refer to one",
        description="Upload, prove, list or delete CA certificates of a DPS instance, through"
        " Azure's management API. azure-identity signs in: by the environment, a managed identity"
        " or 'az login'. For the simulator, give --connection-string-file instead.",
        epilog="example: microdps enroll ca my-root --cert certs/root.cert.pem --prove --key"
        " certs/root.key.pem --subscription SUBSCRIPTION --resource-group GROUP --dps DPS",
    )
    kind.add_argument("name", nargs="?", help="name of the certificate in DPS")
    kind.add_argument("--cert", type=Path, metavar="FILE", help="upload it, PEM or DER")
    action = kind.add_mutually_exclusive_group()
    action.add_argument(
        "--verified", action="store_true", help="mark it as verified, without a proof"
    )
    action.add_argument("--prove", action="store_true", help="prove that you have its --key")
    action.add_argument("--list", action="store_true", help="list the CA certificates")
    action.add_argument("--delete", action="store_true", help="delete the certificate")
    kind.add_argument("--key", type=Path, metavar="FILE", help="the CA's private key")
    kind.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"pass-phrase of an encrypted key, instead of ${PASSPHRASE_VARIABLE}",
    )
    kind.add_argument("--subscription", help="Azure subscription's ID")
    kind.add_argument("--resource-group", help="of the DPS instance")
    kind.add_argument("--dps", help="name of the DPS instance")
    _add_dry_run(kind)
    _add_service(kind, "the simulator's, instead of signing in to Azure")
    kind.set_defaults(function=_ca)


def _add_dry_run(kind) -> None:
    kind.add_argument(
        "--dry-run", action="store_true", help="print the Azure CLI's command, change nothing"
    )


def _add_service(kind, text: str = f"instead of ${VARIABLE}") -> None:
    """The arguments that say which DPS it is."""
    kind.add_argument("--connection-string-file", type=Path, metavar="FILE", help=text)
    kind.add_argument(
        "--ca", type=Path, metavar="FILE", help="root of the service's certificate (PEM)"
    )


# What a verb needs is imported when it runs: so the help appears at once.


def _service(args: argparse.Namespace) -> "ServiceApi":
    from . import connection_string
    from .service_api import ServiceApi

    return ServiceApi(connection_string.read(args.connection_string_file), args.ca)


def _enroll(args: argparse.Namespace) -> None:
    from .azure_cli import create_command
    from .enrollment import enrollment_record, ensure

    path = PATHS[args.kind]
    wanted = enrollment_record(
        path,
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
        print(create_command(path, wanted, args.cert, args.secondary_cert))
        return
    result, enrollment = ensure(_service(args), path, wanted)
    print(f"{result}: {args.kind} {args.id}, {enrollment['provisioningStatus']}")


def _list(args: argparse.Namespace) -> None:
    service = _service(args)
    for kind, path in PATHS.items():
        for one in service.list_all(path):
            print(f"{kind:<10} {one[KINDS[path][0]]}, {one['provisioningStatus']}")


def _delete(args: argparse.Namespace) -> None:
    from .azure_cli import delete_command

    path = PATHS[args.kind]
    if args.dry_run:
        print(delete_command(path, args.id))
        return
    service = _service(args)
    enrollment = service.get(path, args.id)
    if enrollment is None:
        print(f"unchanged: there is no {args.kind} {args.id}")
        return
    service.delete(path, args.id, enrollment.get("etag", "*"))
    print(f"deleted: {args.kind} {args.id}")


def _ca(args: argparse.Namespace) -> None:
    from .azure_cli import ca_commands
    from .ca_certificates import open_instance

    if not args.list and not args.name:
        raise ToolError("the CA certificate has no name: name it, or give --list")
    if args.prove != bool(args.key):
        raise ToolError("a proof needs both --prove and the CA's --key: give the other one too")
    if not (args.list or args.delete or args.cert or args.prove):
        raise ToolError("there is nothing to do: give --cert, --prove, --list or --delete")
    if args.dry_run:
        name = None if args.list else args.name
        options = (args.cert, args.verified, args.prove, args.delete)
        print(ca_commands(name, args.dps, args.resource_group, *options))
        return
    key = _ca_key(args) if args.prove else None
    where = (args.subscription, args.resource_group, args.dps)
    with open_instance(args.connection_string_file, args.ca, *where) as instance:
        if args.list:
            print("\n".join(instance.list_all()) or "there are no CA certificates")
        elif args.delete:
            print(instance.delete(args.name))
        else:
            if args.cert:
                print(instance.upload(args.name, args.cert, args.verified))
            if key:
                print(instance.prove(args.name, key))


def _ca_key(args: argparse.Namespace) -> "PrivateKey":
    """The CA's key. Raises ToolError if --cert is given, and is not its certificate."""
    from ..certs.keys import load_key, read_passphrase
    from ..certs.reading import load_cert_and_key

    passphrase = read_passphrase(args.passphrase_file)
    if args.cert:
        return load_cert_and_key(args.cert, args.key, passphrase).key
    return load_key(args.key, passphrase)
