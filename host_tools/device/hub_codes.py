"""Names and numbers of IoT Hub's errors that a device does not know by itself.

Source: "Understand and resolve Azure IoT Hub errors" (Azure documentation).
"""

# (names and numbers, HTTP status, what happened, what to check)
HUB_CODES = (
    (("ArgumentInvalid", "ArgumentNull"), 400, "an argument is wrong", "the ID and the data"),
    (("InvalidProtocolVersion",), 400, "the hub does not know this API version", "for an update"),
    (
        ("IotHubFormatError", "DeserializationError"),
        400,
        "the hub cannot read the data",
        "the data",
    ),
    (
        ("401003", "IotHubUnauthorized"),
        401,
        "the hub does not accept this certificate for this device",
        "that the thumbprint in the hub is that of the device's certificate ('microdps reset'"
        " makes a board register again), and the clock",
    ),
    (
        ("IotHubNotFound",),
        401,
        "there is no such hub",
        "that the hub was not deleted, and is linked to DPS: 'microdps reset' makes a board"
        " register again",
    ),
    (
        ("403001", "IotHubSuspended"),
        403,
        "the hub is suspended",
        "the Azure subscription: it may be disabled or have reached its limit",
    ),
    (
        ("403004", "DeviceMaximumQueueDepthExceeded"),
        403,
        "more than 50 messages wait for this device",
        "that the device takes its messages, or purge its queue",
    ),
    (("403012",), 403, "the device is disabled in the hub", "that it is enabled in the hub"),
    (
        ("404001", "DeviceNotFound"),
        404,
        "the hub does not know this device",
        "that it was not deleted in the hub: 'microdps reset' makes a board register again",
    ),
    (("404012",), 404, "the hub fails over to another region", "again in some minutes"),
    (("404103", "DeviceNotOnline"), 404, "the device is not connected", "the device"),
    (("DeviceAlreadyExists",), 409, "the hub has this device already", "its device ID"),
    (("PreconditionFailed",), 412, "it was changed at the same time", "it, and try again"),
    (
        ("412002", "DeviceMessageLockLost"),
        412,
        "the message was taken too long ago",
        "that a message is completed within its lock's time",
    ),
    (("413001", "MessageTooLarge"), 413, "the message is too large", "that it is below 256 KB"),
    (
        ("429001", "ThrottlingException"),
        429,
        "too many requests",
        "the hub's tier and number of units, and how often the devices send",
    ),
    (("429002", "ThrottleBacklogLimitExceeded"), 429, "too many requests wait", "as for 429"),
    (("500001", "ServerError"), 500, "the hub has an error", "Azure's status page, or try again"),
    (
        ("503001", "ServiceUnavailable", "ServerBusy"),
        503,
        "the service has an error, or too much to do",
        "Azure's status page, or try again later",
    ),
    (("GatewayTimeout",), 504, "the hub did not answer in time", "again later"),
)


def hub_code(code: str):
    """(status, what happened, what to check) of a name or number, in any case; None if unknown."""
    for names, *rest in HUB_CODES:
        if code.lower() in map(str.lower, names):
            return rest
    return None
