"""A minimal client without any checks: almost the floor for a client in Python."""

import json

import bench_raw
from bench_flow import DATA, EVENTS


class Client(bench_raw.Client):
    """Builds each request and reads each answer, as a hand-written program would."""

    def send(self):
        body = json.dumps(DATA).encode()
        n = self.exchange(self.head("POST", EVENTS, len(body)) + body, b"\r\n\r\n")
        if int(bytes(self.buf[:n]).split(b" ", 2)[1]) != 204:
            raise OSError("refused")
