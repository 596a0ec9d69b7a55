"""A simulator of DPS and IoT Hub, for devices that use X.509 over HTTPS or MQTT.

It follows Microsoft's documentation. Inferred behaviour is marked "Inferred:" in the code.
"""
