"""The package with a hub that has errors: after each error, it sends the next message."""

import bench_microdps

from microdps.errors import OutcomeUnknown


class Client(bench_microdps.Client):
    unknown = 0

    def send(self):
        try:
            bench_microdps.Client.send(self)
        except OutcomeUnknown:
            self.unknown += 1
