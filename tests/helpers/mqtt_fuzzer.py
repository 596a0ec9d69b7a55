"""Random MQTT packets to the simulator, almost all with a mistake."""

from helpers.raw_mqtt import API, connect_packet, publish_packet
from microdps_tools.simulator.hub.mqtt_packets import Kind, packet, string

PAYLOADS = [b"", b"{}", b"[]", b"null", b"\xff\0", b'{"a": 1e999}', b'{"a": {"b": null}}']
PIECES = ["", "/", "#", "+", "$", "\0", "\n", "ä" * 40, "%", "%00", "&", "?$rid=", "x" * 70_00]


class MqttFuzzer:
    """Makes packets that are nearly valid.

    source  random generator
    """

    def __init__(self, simulator, name, source):
        self.source = source
        self.name = name
        self.dps_user = f"{simulator.id_scope}/registrations/{name}/api-version=2019-03-31"
        self.hub_user = f"localhost/{name}/?{API}"
        self.topics = [
            f"devices/{name}/messages/events/",
            f"devices/{name}/messages/events/$.mid=1&a=b",
            f"devices/{name}/messages/devicebound/#",
            "$iothub/twin/GET/?$rid=1",
            "$iothub/twin/PATCH/properties/reported/?$rid=1",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
            "$iothub/methods/res/200/?$rid=1",
            "$dps/registrations/res/#",
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=5.x",
        ]

    def topic(self) -> str:
        topic = self.source.choice(self.topics)
        if self.source.random() < 0.08:
            at = self.source.randrange(len(topic) + 1)
            topic = topic[:at] + self.source.choice(PIECES) + topic[at:]
        return topic

    def connect(self, is_hub: bool) -> bytes:
        user = self.hub_user if is_hub else self.dps_user
        if self.source.random() < 0.1:
            user = user[: self.source.randrange(len(user))] + self.source.choice(PIECES)
        will = (self.topic(), b"will") if self.source.random() < 0.2 else None
        clean = self.source.random() < 0.5
        return self._spoil(connect_packet(self.name, user, clean, will=will), 0.1)

    def packet(self) -> bytes:
        """Any packet but a CONNECT."""
        source = self.source
        kind = source.choice(
            [Kind.PUBLISH] * 12 + [Kind.SUBSCRIBE] * 9 + [Kind.PUBACK] * 2 + [None]
        )
        number = source.choice([0] + [1, 2, 65535] * 8)
        if kind == Kind.PUBLISH:
            flags = source.choice([0] * 20 + [1, 1, 4, 8, 9])
            made = publish_packet(self.topic(), source.choice(PAYLOADS), number, flags)
        elif kind == Kind.SUBSCRIBE:
            filters = b"".join(
                string(self.topic()) + bytes([source.choice([0, 1] * 12 + [2, 3])])
                for _ in range(source.choice([0] + [1, 1, 2, 30] * 6))
            )
            made = packet(Kind.SUBSCRIBE, number.to_bytes(2, "big") + filters, 2)
        elif kind == Kind.PUBACK:
            made = packet(Kind.PUBACK, number.to_bytes(2, "big"))
        else:
            made = packet(source.randrange(16), source.randbytes(source.randrange(8)))
        return self._spoil(made, 0.02)

    def _spoil(self, data: bytes, chance: float) -> bytes:
        """The same bytes, perhaps with some that are wrong, missing or too many."""
        source = self.source
        if source.random() >= chance:
            return data
        at = source.randrange(len(data))
        wrong = [data[:at] + source.randbytes(1) + data[at + 1 :], data[:at], data + b"\x10"]
        return source.choice([*wrong, data[:at] + source.randbytes(5) + data[at:]])
