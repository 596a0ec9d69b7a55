"""Which hub a device is assigned to, and what becomes of it when it registers again.

Sources: Azure documentation, "How to use allocation policies to provision devices across IoT
hubs", "IoT Hub Device reprovisioning concepts"; REST reference for the texts of the substatus.
"""

import hashlib

# geoLatency: all simulated hubs are equally near, so the first one serves.
POLICIES = ("hashed", "geoLatency", "static")


def choose(enrollment: dict, registration_id: str, linked: list[str]) -> str | None:
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
    """The hub that a device gets, and the substatus that tells why.

    chosen   by the policy
    before   the state of the last registration; empty: there is none
    initial  the hub of the first one

    Inferred: a device that stays where it is keeps its substatus, and one that returns to the hub
    it was first assigned to is the one that is "reprovisioned to a previously assigned IoT hub".
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
