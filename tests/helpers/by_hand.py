"""Requests of a device, and of a user of DPS's service API, made without our own client code."""

import requests

from microdps_tools.enroll import connection_string, sas
from microdps_tools.simulator.dps.authorization import KEY_NAME

DPS_API = "2021-06-01"
HUB_API = "2020-03-13"
TIMEOUT_S = 20
BODY = b'{"temperature": 30}'


class Device:
    """A device by hand: its registration with DPS, and its requests to the hub.

    folder  its certificate folder
    """

    def __init__(self, simulator, name, folder):
        self.simulator = simulator
        self.name = name
        self.cert = (folder / "full-chain.pem", folder / "key.pem")

    def register(self) -> requests.Response:
        """Register with DPS, and do not wait for the result."""
        return self.dps("PUT", "/register")

    def provision(self) -> dict:
        """Register → the answer of the first poll."""
        answer = self.register()
        assert answer.status_code == 202, answer.text
        return self.poll(answer.json()["operationId"]).json()

    def poll(self, operation_id: str) -> requests.Response:
        return self.dps("GET", f"/operations/{operation_id}")

    def dps(self, method: str, end: str) -> requests.Response:
        """Make a request for the registration."""
        path = f"{self.simulator.id_scope}/registrations/{self.name}{end}"
        return self._ask(method, self.simulator.dps, path, params={"api-version": DPS_API})

    def send(self, device_id: str | None = None, **given) -> requests.Response:
        """Send a message. given: hub, version, method, path, and arguments of requests.request."""
        path = given.pop("path", f"devices/{device_id or self.name}/messages/events")
        method = given.pop("method", "POST")
        version = given.pop("version", HUB_API)
        given.setdefault("data", BODY)
        hub = given.pop("hub", self.simulator.hub)
        return self._ask(method, hub, path, params={"api-version": version}, **given)

    def messages(self, device_id: str | None = None) -> list[tuple]:
        """Properties and body of the messages that the hub has accepted from this device."""
        return self.simulator.messages(device_id or self.name)

    def _ask(self, method, host, path, **given):
        given.setdefault("cert", self.cert)
        return requests.request(
            method,
            f"https://{host}/{path}",
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
            **given,
        )


def enrolled_device(simulator, name) -> Device:
    """A device of the enrolled group, not registered yet."""
    return Device(simulator, name, simulator.device(name).parent.parent)


class Rest:
    """DPS's service API of a simulator, by hand."""

    def __init__(self, simulator):
        self.simulator = simulator
        text = connection_string.read(simulator.state / "connection-string.key.txt")
        self.key = connection_string.parse(text)["SharedAccessKey"]

    def __call__(self, method: str, path: str, record=None, **given) -> requests.Response:
        """Make a request for enrollments/… or enrollmentGroups/…. given: headers, version."""
        headers = {"Authorization": self.token()} | given.get("headers", {})
        return requests.request(
            method,
            f"https://{self.simulator.dps}/{path}",
            params={"api-version": given.get("version", "2021-10-01")},
            json=record,
            headers=headers,
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
        )

    def token(self, **given) -> str:
        host = given.pop("host", self.simulator.dps)
        key_name = given.pop("key_name", KEY_NAME)
        return sas.token(host, key_name, given.pop("key", self.key), **given)
