"""A thin client by hand, without any check: nearly the floor for what is written in Python."""

import json

import bench_raw
from bench_flow import DATA, EVENTS


class Client(bench_raw.Client):
    """Makes its request and reads its answer anew each time, as a program by hand would."""

    def send(self):
        body = json.dumps(DATA).encode()
        n = self.exchange(self.head("POST", EVENTS, len(body)) + body, b"\r\n\r\n")
        if int(bytes(self.buf[:n]).split(b" ", 2)[1]) != 204:
            raise OSError("refused")
