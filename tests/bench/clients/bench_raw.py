"""The floor: it writes fixed bytes on one connection, and reads until the answer's last bytes."""

import json
import select
import socket

import tls

from bench_flow import DATA, EVENTS, OPERATION, REGISTER


class Client:
    """Writes fixed bytes, and reads until the answer's last bytes."""

    def __init__(self, folder, dps, plain):
        self.dps = dps
        self.plain = plain
        self.context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        self.context.verify_mode = tls.CERT_REQUIRED
        with open(folder + "/key.der", "rb") as key, open(folder + "/cert.der", "rb") as cert:
            self.context.load_cert_chain(cert.read(), key.read())
        with open(folder + "/roots.der", "rb") as roots:
            self.context.load_verify_locations(roots.read())
        self.buf = bytearray(2048)

    def open(self, host):
        self.host = host
        name, port = host.split(":")
        raw = socket.socket()
        raw.setsockopt(6, 1, 1)  # TCP_NODELAY
        raw.connect(socket.getaddrinfo(name, int(port))[0][-1])
        self.poll = select.poll()
        self.poll.register(raw, select.POLLIN)
        self.stream = raw
        if not self.plain:
            self.stream = self.context.wrap_socket(raw, server_hostname=name)
        self.stream.setblocking(False)

    def head(self, method, path, length):
        head = "%s %s HTTP/1.1\r\nHost: %s\r\n" % (method, path, self.host)
        head += "Content-Type: application/json\r\n"
        head += "Content-Encoding: utf-8\r\n"
        if length:
            head += "Content-Length: %d\r\n" % length
        return (head + "\r\n").encode()

    def exchange(self, request, end):
        self.stream.write(request)
        n = 0
        while True:
            got = self.stream.readinto(memoryview(self.buf)[n:])
            if got is None:
                self.poll.poll()
                continue
            n += got
            if bytes(self.buf[n - len(end) : n]) == end:
                return n

    def provision(self):
        self.open(self.dps)
        body = b'{"registrationId": "device-01"}'
        self.exchange(self.head("PUT", REGISTER, len(body)) + body, b"0\r\n\r\n")
        for _ in range(2):
            n = self.exchange(self.head("GET", OPERATION, 0), b"0\r\n\r\n")
        answer = bytes(self.buf[:n])
        answer = json.loads(answer[answer.find(b"{") : answer.rfind(b"}") + 1])
        self.stream.close()
        self.open(answer["registrationState"]["assignedHub"])
        body = json.dumps(DATA).encode()
        self.message = self.head("POST", EVENTS, len(body)) + body

    def send(self):
        self.exchange(self.message, b"\r\n\r\n")
