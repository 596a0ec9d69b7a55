"""The words of enrollments: of the command line, and of the service API. It loads nothing."""

# Path of the service API → the key of an enrollment's ID, and the key of its certificates.
KINDS = {
    "enrollments": ("registrationId", "clientCertificates"),
    "enrollmentGroups": ("enrollmentGroupId", "signingCertificates"),
}
ALLOCATIONS = ("hashed", "geoLatency", "static")

# What DPS does with a device that registers again and gets another hub.
REPROVISION = {
    "migrate": {"updateHubAssignment": True, "migrateDeviceData": True},
    "reset": {"updateHubAssignment": True, "migrateDeviceData": False},
    "never": {"updateHubAssignment": False, "migrateDeviceData": False},
}

# The environment variable with the connection string of the DPS instance.
VARIABLE = "MICRODPS_DPS_CONNECTION_STRING"
