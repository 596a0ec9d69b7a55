"""A simulator of DPS and IoT Hub, for devices that use X.509 over HTTPS.

What Microsoft documents is done as documented; what is inferred is marked "Inferred:" in the code.
"""
