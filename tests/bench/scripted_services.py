"""DPS and a hub that answer from a script, and a server that counts bytes and TLS records."""

import json
import ssl
import threading

from microdps_tools.simulator.hub import mqtt_packets


def answer(status: str, body: dict | None = None, fields: str = "", chunked=True) -> bytes:
    """A response as in the how-to: chunked for DPS, empty for the hub (body=None)."""
    if body is None:
        return (
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nVary: Origin\r\n"
            "Server: Microsoft-HTTPAPI/2.0\r\n"
            "x-ms-request-id: aa58c075-20d9-4565-8058-de6dc8524f14\r\n"
            "Date: Wed, 31 Aug 2022 18:34:44 GMT\r\n\r\n"
        ).encode("ascii")
    text = json.dumps(body, separators=(",", ":")).encode()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(text)}"
    head = (
        f"HTTP/1.1 {status}\r\nDate: Sat, 27 Aug 2022 17:53:18 GMT\r\n"
        f"Content-Type: application/json; charset=utf-8\r\n{framing}\r\n"
        f"{fields}x-ms-request-id: 05cdec07-c0c7-48f3-b3cd-30cfe27cbe57\r\n"
        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n"
    )
    return head.encode() + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text) if chunked else text)


class Dps:
    """Accepts a registration. The last poll is answered with assigned, the others before it with
    assigning."""

    def __init__(self, polls: int = 2, chunked: bool = True):
        self.polls = polls
        self.chunked = chunked
        self.hub_port = 0
        self.left = polls

    def respond(self, head: bytes) -> bytes:
        self.left = self.polls if head.startswith(b"PUT") else self.left - 1
        state: dict = {"operationId": "5.506603669bd3e2bf.b3602f8f", "status": "assigning"}
        if self.left:
            return answer("202 Accepted", state, "Retry-After: 1\r\n", self.chunked)
        registration = {
            "x509": {},
            "registrationId": "device-01",
            "createdDateTimeUtc": "2022-08-27T17:53:19.5143497Z",
            "assignedHub": f"localhost:{self.hub_port}",
            "deviceId": "device-01",
            "status": "assigned",
            "substatus": "initialAssignment",
            "lastUpdatedDateTimeUtc": "2022-08-27T17:53:19.7519141Z",
            "etag": "IjEyMDA4NmYyLTAwMDAtMDMwMC0wMDAwLTYzMGE1YTBmMDAwMCI=",
        }
        state |= {"status": "assigned", "registrationState": registration}
        return answer("200 OK", state, chunked=self.chunked)


class Hub:
    """Accepts each message."""

    def respond(self, head: bytes) -> bytes | None:
        return answer("204")


class TroubledHub:
    """Accepts twelve messages. Then it is busy, redirects, refuses (so that the device registers
    again), sends no HTTP, and closes without an answer (None)."""

    def __init__(self):
        error = {"errorCode": 401003, "trackingId": "t-1", "message": "IotHubUnauthorized"}
        location = "Location: /elsewhere\r\n"
        self.answers = [answer("204")] * 12 + [
            answer("503 Busy", {"message": "later"}, "Retry-After: 1\r\n"),
            answer("307 Temporary Redirect", {}, location),
            answer("401 Unauthorized", error),
            b"no HTTP\r\n",
            None,
        ]

    def respond(self, head: bytes) -> bytes | None:
        return self.answers.pop(0) if self.answers else answer("204")


class Counter:
    """Counts connections, bytes and TLS records on one port, as a relay would see them."""

    def __init__(self):
        self.connections = 0
        self.sent = 0
        self.received = 0
        self.records = 0
        self.requests = 0
        self.pending = b""
        self.lock = threading.Lock()

    def count_records(self, data: bytes) -> None:
        """Count the records with application data in the bytes from the device."""
        self.pending += data
        while len(self.pending) >= 5:
            length = 5 + int.from_bytes(self.pending[3:5], "big")
            if len(self.pending) < length:
                return
            self.records += self.pending[0] == 23
            self.pending = self.pending[length:]

    def handle(self, connection, context, take) -> None:
        """Serve one connection. TLS runs in memory, so that every byte on the wire is counted.

        context  of TLS; None: plain TCP
        take     answers a request, as http() describes it
        """
        with self.lock:
            self.connections += 1
        self.pending = b""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True) if context else None
        answers = self._answer(tls, incoming, outgoing, take)
        while True:
            more = next(answers, None)
            if more is None:
                return
            reply = outgoing.read()
            if reply:
                self.received += len(reply)
                connection.sendall(reply)
            raw = connection.recv(65536) if more else b""
            if not raw:
                return
            self.sent += len(raw)
            self.count_records(raw)
            incoming.write(raw)

    def _answer(self, tls, incoming, outgoing, take):
        """Answer all requests that have arrived, each time that the caller goes on.

        Yields True if the connection stays open, False after its last answer.
        """
        data = b""
        shaken = last = False
        while True:
            try:
                if tls and not shaken:
                    tls.do_handshake()
                    shaken = True
                while True:
                    data += (tls or incoming).read(65536)
                    while found := take(data):
                        reply, data, last = found
                        self.requests += 1
                        if reply is None:
                            return
                        (tls or outgoing).write(reply)
                    if not tls and not incoming.pending:
                        break
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return
            yield not last


def http(respond):
    """A function for Counter.handle that takes the first request from the received bytes.

    It returns the answer (None: close), the remaining bytes, and whether the answer is the
    connection's last one. It returns None if the request is not complete.
    """

    def take(data: bytes):
        head, end, body = data.partition(b"\r\n\r\n")
        if not end or len(body) < content_length(head):
            return None
        return respond(head), body[content_length(head) :], b"HTTP/1.0" in head

    return take


def take_mqtt(data: bytes):
    """The same for MQTT packets."""
    found = mqtt_packets.split(data)
    if not found:
        return None
    kind, _, body, rest = found
    if kind == mqtt_packets.Kind.CONNECT:
        return mqtt_packets.packet(mqtt_packets.Kind.CONNACK, b"\0\0"), rest, False
    topic = int.from_bytes(body[:2])
    return mqtt_packets.packet(mqtt_packets.Kind.PUBACK, body[2 + topic : 4 + topic]), rest, False


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
