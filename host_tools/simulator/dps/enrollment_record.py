"""An enrollment as a client writes it: check it, and keep what the schema has.

Source: Azure REST reference, DPS service 2021-10-01: IndividualEnrollment, EnrollmentGroup.
"""

from ...certs.rules import DEVICE_ID
from ..call import ApiError
from ..http_service import HttpService
from ..store.enrollments import ca_key
from ..tls import thumbprint
from .allocation import POLICIES
from .certificates import certificate_info, read_certificate

# Path of the service API → kind in the store, the key of an enrollment's ID, and the key of its
# certificates in attestation.x509.
KINDS = {
    "enrollments": ("individual", "registrationId", "clientCertificates"),
    "enrollmentGroups": ("group", "enrollmentGroupId", "signingCertificates"),
}

# Field → the fields inside it; None: any value.
_CERTIFICATES = {which: {"certificate": None} for which in ("primary", "secondary")}
_COMMON: dict = {
    "attestation": {
        "type": None,
        "x509": {
            "clientCertificates": _CERTIFICATES,
            "signingCertificates": _CERTIFICATES,
            "caReferences": {"primary": None, "secondary": None},
        },
    },
    "capabilities": {"iotEdge": None},
    "initialTwin": {"tags": None, "properties": {"desired": None}},
    "provisioningStatus": None,
    "reprovisionPolicy": {"updateHubAssignment": None, "migrateDeviceData": None},
    "allocationPolicy": None,
    "iotHubHostName": None,
    "iotHubs": None,
    "credentialPolicyName": None,
}
FIELDS: dict[str, dict] = {
    "enrollments": {
        "registrationId": None,
        "deviceId": None,
        **_COMMON,
        "optionalDeviceInformation": None,
    },
    "enrollmentGroups": {"enrollmentGroupId": None, **_COMMON},
}

# What the real service has, and the simulator has not.
NOT_SIMULATED = ("symmetricKey", "tpm", "none")


def read_record(
    service: HttpService, path: str, given: dict, hubs: list[str]
) -> tuple[dict, list[str]]:
    """The enrollment in a body, with the service's defaults; and its certificates' thumbprints.

    hubs  the linked hubs
    Fields that the schema lacks are dropped. Raises ApiError.
    """
    if given.get("customAllocationDefinition") or given.get("allocationPolicy") == "custom":
        raise _not_simulated("Custom allocation")
    attestation = given.get("attestation")
    kind = attestation.get("type") if isinstance(attestation, dict) else None
    if kind in NOT_SIMULATED:
        raise _not_simulated(f"Attestation by {kind}")
    record = _known(given, FIELDS[path], "The enrollment")
    thumbprints = _thumbprints(service, record, KINDS[path][2])
    if record.setdefault("provisioningStatus", "enabled") not in ("enabled", "disabled"):
        raise ApiError(400, 400004, "provisioningStatus is neither enabled nor disabled.")
    device_id = record.get("deviceId")
    if not isinstance(device_id, str | None) or (device_id and not DEVICE_ID.fullmatch(device_id)):
        raise ApiError(400, 400004, "deviceId is invalid.")
    _check_twin(record)
    _check_allocation(record, hubs)
    _check_reprovision(record)
    return record, thumbprints


def _not_simulated(what: str) -> ApiError:
    """The real service can do this. The simulator says that it cannot."""
    return ApiError(400, 400004, f"{what} is not simulated: use X.509 and a policy that is.")


def _known(value: dict, fields: dict, name: str) -> dict:
    """A copy of an object without unknown fields. Raises ApiError."""
    if not isinstance(value, dict):
        raise ApiError(400, 400004, f"{name} is no object.")
    return {
        key: _known(one, fields[key], key) if fields[key] and one is not None else one
        for key, one in value.items()
        if key in fields
    }


def _thumbprints(service: HttpService, record: dict, certs_key: str) -> list[str]:
    """The thumbprints of an enrollment's certificates; ca_key() for an uploaded CA certificate.

    Writes the certificates' info into the record. Raises ApiError if there is no certificate.
    """
    invalid = ApiError(400, 400004, f"attestation.x509.{certs_key} is missing or invalid.")
    try:
        attestation = record["attestation"]
        if attestation["type"] != "x509":
            raise invalid
        x509 = attestation["x509"]
        references = x509.get("caReferences") if certs_key == "signingCertificates" else None
        pair = references or x509[certs_key]
        thumbprints = []
        for which in ("primary", "secondary"):
            one = pair.get(which)
            if one and references:
                if service.store.ca_certificates.get(one) is None:
                    raise ApiError(400, 400004, f"There is no CA certificate {one!r}.")
                thumbprints.append(ca_key(one))
            elif one:
                cert = read_certificate(one["certificate"])
                one["info"] = certificate_info(cert)
                thumbprints.append(thumbprint(cert))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise invalid from error
    if not thumbprints:
        raise invalid
    return thumbprints


def _check_twin(record: dict) -> None:
    twin = record.get("initialTwin") or {}
    parts = {"tags": twin.get("tags"), "desired": (twin.get("properties") or {}).get("desired")}
    for name, part in parts.items():
        if not isinstance(part, dict | None):
            raise ApiError(400, 400004, f"{name} of initialTwin is no object.")


def _check_allocation(record: dict, hubs: list[str]) -> None:
    """Check the allocation policy and its hubs, and write the default. Raises ApiError."""
    policy = record.get("allocationPolicy") or "hashed"
    if policy not in POLICIES:
        raise ApiError(400, 400004, f"allocationPolicy is not one of {', '.join(POLICIES)}.")
    wanted = record.get("iotHubs") or []
    one = record.get("iotHubHostName")
    if not isinstance(wanted, list) or not all(isinstance(hub, str) for hub in wanted):
        raise ApiError(400, 400004, "iotHubs is no list of host names.")
    if one:
        wanted = [*wanted, one]
    known = {hub.lower() for hub in hubs}
    for hub in wanted:
        if str(hub).lower() not in known:
            raise ApiError(400, 400004, f"{hub} is no linked hub.")
    if policy == "static" and len(wanted) != 1:
        raise ApiError(400, 400004, "Static allocation needs one hub in iotHubs.")
    record["allocationPolicy"] = policy


def _check_reprovision(record: dict) -> None:
    """Check the reprovision policy, and write the default. Raises ApiError."""
    default = {"updateHubAssignment": True, "migrateDeviceData": True}
    policy = record.get("reprovisionPolicy") or default
    if not all(isinstance(policy.get(key, True), bool) for key in default):
        raise ApiError(400, 400004, "reprovisionPolicy is invalid.")
    record["reprovisionPolicy"] = policy
