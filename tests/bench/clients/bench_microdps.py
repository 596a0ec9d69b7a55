"""The package itself, through Device.send."""

from bench_flow import DATA
from microdps.device import Device
from microdps.identity import Identity


class Plain:
    """Replaces a TLS context, for plain TCP."""

    def wrap_socket(self, raw, **options):
        return raw


class Client:
    transport = "https"

    def __init__(self, folder, dps, plain):
        self.device = Device(
            Identity.from_files(folder), "0ne00111111", "device-01", dps, transport=self.transport
        )
        if plain:
            self.device.link.context = Plain()

    def provision(self):
        self.device.provision()

    def send(self):
        self.device.send(DATA)
