"""Rules of the admin calls that their callers share. This module imports nothing."""

# The longest message ID and correlation ID ("Create and read IoT Hub messages").
ID_LIMIT = 128

# How long a message for a device waits, if nothing else is asked for.
EXPIRY_S = 3600

# How long a caller of a direct method waits for the answer, and at most.
METHOD_S = 30
METHOD_LIMIT_S = 300
