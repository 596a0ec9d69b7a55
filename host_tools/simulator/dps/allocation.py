"""Allocation: which hub a device gets, and what happens when it registers again.

Sources: "How to use allocation policies to provision devices across IoT hubs", "IoT Hub Device
reprovisioning concepts" (Azure documentation); the REST reference for the texts of the substatus.
"""

import hashlib

# geoLatency: all simulated hubs are equally near, so the first one is chosen.
POLICIES = ("hashed", "geoLatency", "static")


def choose_hub(enrollment: dict, registration_id: str, linked: list[str]) -> str | None:
    """The hub that an enrollment's policy chooses among the linked ones; None if it allows none.

    Inferred: that a hash of the registration ID spreads the devices.
    """
    one = enrollment.get("iotHubHostName")
    wanted = [hub.lower() for hub in enrollment.get("iotHubs") or ([one] if one else [])]
    allowed = [hub for hub in linked if not wanted or hub.lower() in wanted]
    if not allowed:
        return None
    if enrollment.get("allocationPolicy") != "hashed":
        return allowed[0]
    digest = hashlib.sha256(registration_id.lower().encode()).digest()
    return allowed[int.from_bytes(digest[:8]) % len(allowed)]


def reprovision(
    enrollment: dict, chosen: str, before: dict, initial: str | None, linked: list[str]
) -> tuple[str, str]:
    """The hub that a device gets, and the substatus.

    chosen   the hub that the policy chooses
    before   state of the last registration; empty if there is none
    initial  the hub of the first registration

    Inferred: a device that stays on its hub keeps its substatus. A device that returns to its
    first hub is "reprovisioned to a previously assigned IoT hub".
    """
    old = before.get("assignedHub")
    if not old:
        return chosen, "initialAssignment"
    policy = enrollment.get("reprovisionPolicy") or {}
    stays = old in linked and not policy.get("updateHubAssignment", True)
    if stays or old == chosen:
        return old, before["substatus"]
    if chosen == initial:
        return chosen, "reprovisionedToInitialAssignment"
    migrates = policy.get("migrateDeviceData", True)
    return chosen, "deviceDataMigrated" if migrates else "deviceDataReset"
