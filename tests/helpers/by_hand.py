"""A device by hand: what it asks DPS and its hub, without the device package."""

import contextlib

import requests

from microdps_tools.simulator.store.store import Store

DPS_API = "2021-06-01"
HUB_API = "2020-03-13"
TIMEOUT_S = 20
BODY = b'{"temperature": 30}'


class Device:
    """A device by hand: its registration with DPS, and its requests to the hub."""

    def __init__(self, simulator, name, folder):
        self.simulator = simulator
        self.name = name
        self.cert = (folder / "full-chain.pem", folder / "key.pem")

    def register(self) -> requests.Response:
        """Register with DPS, without waiting for the end of it."""
        return self.dps("PUT", "/register")

    def provision(self) -> dict:
        """Register → the state of the registration, which must not take time."""
        answer = self.register()
        assert answer.status_code == 202, answer.text
        return self.poll(answer.json()["operationId"]).json()

    def poll(self, operation_id: str) -> requests.Response:
        return self.dps("GET", f"/operations/{operation_id}")

    def dps(self, method: str, end: str) -> requests.Response:
        """Ask about the registration."""
        path = f"{self.simulator.id_scope}/registrations/{self.name}{end}"
        return self._ask(method, self.simulator.dps, path, params={"api-version": DPS_API})

    def send(self, device_id: str | None = None, **given) -> requests.Response:
        """Send a message; given: hub, version, method, path, and what requests.request takes."""
        path = given.pop("path", f"devices/{device_id or self.name}/messages/events")
        method = given.pop("method", "POST")
        version = given.pop("version", HUB_API)
        given.setdefault("data", BODY)
        hub = given.pop("hub", self.simulator.hub)
        return self._ask(method, hub, path, params={"api-version": version}, **given)

    def messages(self, device_id: str | None = None) -> list[tuple]:
        """Properties and body of what the hub has accepted for this device."""
        with contextlib.closing(Store(self.simulator.state)) as store:
            return [m[2:] for m in store.messages.all() if m[1] == (device_id or self.name)]

    def _ask(self, method, host, path, **given):
        given.setdefault("cert", self.cert)
        return requests.request(
            method,
            f"https://{host}/{path}",
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
            **given,
        )
