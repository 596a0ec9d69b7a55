"""A hub of MQTT, and its packets."""

HUB = "hub.example"
CONNACK = b"\x20\x02\x00\x00"


def puback(number):
    return b"\x40\x02" + number.to_bytes(2, "big")
