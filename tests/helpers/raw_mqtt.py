"""An MQTT client that sends what a test says, and shows each packet that comes."""

import contextlib
import json
import re
from collections.abc import Iterator

from helpers.hostile import TIMEOUT_S, connect
from microdps_tools.simulator.hub.mqtt_packets import Fields, Kind, packet, split, string

API = "api-version=2021-04-12"


def connect_packet(
    client_id: str, user: str, clean: bool = True, keep_alive_s: int = 60, will=None
) -> bytes:
    flags = 0x80 | clean << 1 | bool(will) << 2
    body = string("MQTT") + bytes([4, flags]) + keep_alive_s.to_bytes(2, "big")
    body += string(client_id)
    if will:
        topic, payload = will
        body += string(topic) + len(payload).to_bytes(2, "big") + payload
    return packet(Kind.CONNECT, body + string(user))


def publish_packet(topic: str, payload: bytes, packet_id: int = 0, flags: int = 0) -> bytes:
    number = packet_id.to_bytes(2, "big") if packet_id else b""
    flags |= 2 if packet_id else 0
    return packet(Kind.PUBLISH, string(topic) + number + payload, flags)


class RawClient:
    """A connection, after the TLS handshake."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)
        self._data = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> tuple[int, int, bytes] | None:
        """The next packet: its kind, flags and body; None at the end of the connection."""
        while True:
            found = split(self._data)
            if found:
                kind, flags, body, self._data = found
                return kind, flags, body
            more = self.sock.recv(65536)
            if not more:
                return None
            self._data += more

    def open(self, client_id: str, user: str, **given) -> tuple[int, int]:
        """CONNECT → session present, and the return code."""
        self.send(connect_packet(client_id, user, **given))
        kind, _, body = self.read()
        assert kind == Kind.CONNACK
        return body[0], body[1]

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """SUBSCRIBE → the codes of the SUBACK."""
        body = b"\0\7" + b"".join(string(one) + bytes([qos]) for one in filters)
        self.send(packet(Kind.SUBSCRIBE, body, 2))
        kind, _, body = self.read()
        assert (kind, body[:2]) == (Kind.SUBACK, b"\0\7")
        return list(body[2:])

    def publish(self, topic: str, payload: bytes = b"{}", packet_id: int = 1, **given) -> None:
        self.send(publish_packet(topic, payload, packet_id, **given))

    def acknowledged(self) -> int:
        """The packet ID of a PUBACK, which must be the next packet."""
        kind, _, body = self.read()
        assert kind == Kind.PUBACK, (kind, body)
        return int.from_bytes(body, "big")

    def message(self) -> tuple[str, bytes, int, int]:
        """A PUBLISH, which must come next, after any PUBACK: topic, payload, packet ID, flags."""
        kind, flags, body = self.read()
        while kind == Kind.PUBACK:
            kind, flags, body = self.read()
        assert kind == Kind.PUBLISH, (kind, body)
        fields = Fields(body)
        topic = fields.read_string()
        packet_id = fields.read_number() if flags >> 1 & 3 else 0
        return topic, fields.data, packet_id, flags

    def puback(self, packet_id: int) -> None:
        self.send(packet(Kind.PUBACK, packet_id.to_bytes(2, "big")))

    def ask(self, topic: str, payload: bytes = b"") -> tuple[str, dict | None]:
        """Publish with QoS 1 → the topic and the JSON of the answer."""
        self.publish(topic, payload, 9)
        answer, data, *_ = self.message()
        return answer, json.loads(data) if data else None

    def ping(self) -> None:
        """Make sure that the connection is open, and that nothing else has come."""
        self.send(packet(Kind.PINGREQ))
        assert self.read() == (Kind.PINGRESP, 0, b"")

    def is_closed(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return self.read() is None
        return True


@contextlib.contextmanager
def raw_client(simulator, host: str, name: str | None) -> Iterator[RawClient]:
    """A connection. name: of a device that was written before, whose certificate it has."""
    folder = simulator.made(name) if name else None
    cert = (folder / "full-chain.pem", folder / "key.pem") if folder else None
    with connect(simulator, host, cert) as sock:
        yield RawClient(sock)


@contextlib.contextmanager
def hub_client(simulator, name: str, **given) -> Iterator[RawClient]:
    """A device that is connected to its hub. Its attribute present: is an older session?"""
    host = f"localhost:{simulator.mqtt_port}"
    with raw_client(simulator, host, name) as client:
        client.present, code = client.open(name, f"localhost/{name}/?{API}", **given)
        assert code == 0
        yield client


def rid_of(topic: str) -> str:
    return re.search(r"\$rid=([^&]*)", topic)[1]
