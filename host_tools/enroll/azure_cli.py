"""The Azure CLI commands that do the same as `microdps enroll`, for --dry-run."""

import shlex
from pathlib import Path

from .policies import KINDS, REPROVISION

# Path of the service API → the noun of `az iot dps`.
NOUNS = {"enrollments": "enrollment", "enrollmentGroups": "enrollment-group"}

REPROVISION_POLICIES = {
    "migrate": "reprovisionandmigratedata",
    "reset": "reprovisionandresetdata",
    "never": "never",
}


def create_command(
    path: str, wanted: dict, cert: Path | None, secondary: Path | None = None
) -> str:
    """The command that creates an enrollment."""
    words = [*_words(path, "create"), wanted[KINDS[path][0]]]
    if path == "enrollments":
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
        words += ["--reprovision-policy", REPROVISION_POLICIES[name]]
    return shlex.join(words)


def delete_command(path: str, name: str) -> str:
    """The command that deletes an enrollment."""
    return shlex.join([*_words(path, "delete"), name])


def _words(path: str, action: str) -> list[str]:
    words = ["az", "iot", "dps", NOUNS[path], action, "--dps-name", "DPS"]
    return [*words, "--resource-group", "GROUP", "--enrollment-id"]


def ca_commands(
    name: str | None,
    dps: str | None,
    resource_group: str | None,
    cert: Path | None = None,
    verified: bool = False,
    prove: bool = False,
    delete: bool = False,
) -> str:
    """The commands for CA certificates. Without a name they list the certificates."""
    words = ["az", "iot", "dps", "certificate"]
    where = ["--dps-name", dps or "DPS", "--resource-group", resource_group or "GROUP"]
    if name is None:
        return shlex.join([*words, "list", *where])
    where += ["--certificate-name", name]
    if delete:
        return shlex.join([*words, "delete", *where, "--etag", "ETAG"])
    lines = []
    if cert:
        status = ["--verified", "true"] if verified else []
        lines.append(shlex.join([*words, "create", *where, "--path", str(cert), *status]))
    if prove:
        lines.append(shlex.join([*words, "generate-verification-code", *where, "--etag", "ETAG"]))
        lines.append(shlex.join([*words, "verify", *where, "--path", "PROOF", "--etag", "ETAG"]))
    return "\n".join(lines)
