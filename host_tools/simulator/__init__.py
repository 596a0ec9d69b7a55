"""A simulator of DPS and IoT Hub, for devices that use X.509 over HTTPS or MQTT.

It does what Microsoft documents. What is inferred is marked "Inferred:" in the code.
"""
