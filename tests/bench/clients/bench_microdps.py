"""The package itself, through Device.send."""

from bench_flow import DATA
from microdps.device import Device
from microdps.identity import Identity


class Client:
    transport = "https"

    def __init__(self, folder, dps, plain):
        if plain:
            from microdps import link

            def secure(self, flags):
                self.tls = self.raw
                self._poll.modify(self.raw, 1)

            link.Link._secure = secure
        self.device = Device(
            Identity.from_files(folder), "0ne00111111", "device-01", dps, transport=self.transport
        )

    def provision(self):
        self.device.provision()

    def send(self):
        self.device.send(DATA)
