"""Random requests to the simulator, almost all with a mistake."""

import json

from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll import sas
from microdps_tools.simulator.dps.authorization import KEY_NAME

# Values that are put into a request's JSON.
VALUES = [
    "",
    "x",
    0,
    -1,
    1e99,
    True,
    None,
    [],
    {},
    [[]],
    {"x": {"x": 1}},
    "\0",
    "ä" * 70,
    "x" * 300,
]

METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "X" * 40]


class Fuzzer:
    """Makes requests that are nearly valid.

    source  random generator
    calls   host → method, path and body of its calls
    """

    def __init__(self, device, source):
        self.device = device
        self.source = source
        simulator = device.simulator
        self.bearer = simulator.service._key
        self.pem = encoding.pem(issue("fuzzed", ca=True).cert).decode()
        self.token = sas.token(simulator.dps, KEY_NAME, self.bearer)
        self.calls = {
            simulator.dps: [*self._device_api(), *self._service_api(), *self._ca_certificates()],
            simulator.hub: self._hub(),
        }

    def _device_api(self) -> list[tuple]:
        path = f"{self.device.simulator.id_scope}/registrations/{self.device.name}"
        return [
            ("PUT", f"{path}/register", {"registrationId": self.device.name, "payload": {}}),
            ("POST", path, {}),
            ("GET", f"{path}/operations/5.x", None),
        ]

    def _service_api(self) -> list[tuple]:
        pair = {"primary": {"certificate": self.pem}}
        one = {
            "registrationId": "fuzzed",
            "attestation": {"type": "x509", "x509": {"clientCertificates": pair}},
            "allocationPolicy": "hashed",
            "iotHubs": [self.device.simulator.hub],
            "reprovisionPolicy": {"updateHubAssignment": True},
        }
        group = {
            "enrollmentGroupId": "fuzzed",
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "fuzzed"}}},
        }
        query = {"query": "SELECT * FROM enrollments"}
        return [
            *((method, "enrollments/fuzzed", one) for method in ("PUT", "GET", "DELETE")),
            ("POST", "enrollments", {"mode": "update", "enrollments": [one]}),
            ("POST", "enrollments/query", query),
            ("POST", "enrollments/fuzzed/attestationmechanism", None),
            *((method, "enrollmentGroups/fuzzed", group) for method in ("PUT", "GET")),
            ("POST", "enrollmentGroups/query", query),
            ("GET", "registrations/fuzzed", None),
            ("POST", "registrations/group-01/query", query),
        ]

    def _ca_certificates(self) -> list[tuple]:
        path = "subscriptions/s/resourceGroups/r/providers/Microsoft.Devices"
        path += "/provisioningServices/d/certificates"
        record = {"properties": {"certificate": self.pem, "isVerified": True}}
        return [
            *((method, f"{path}/fuzzed", record) for method in ("PUT", "GET", "DELETE")),
            ("GET", path, None),
            ("POST", f"{path}/fuzzed/generateVerificationCode", None),
            ("POST", f"{path}/fuzzed/verify", {"certificate": self.pem}),
        ]

    def _hub(self) -> list[tuple]:
        path = f"devices/{self.device.name}/messages"
        batch = [{"body": "eA==", "properties": {"iothub-app-a": "b"}}]
        return [
            ("POST", f"{path}/events", batch),
            ("GET", f"{path}/devicebound", None),
            ("DELETE", f"{path}/devicebound/x", None),
            ("POST", f"{path}/devicebound/x/abandon", None),
        ]

    def spoil(self, value):
        """A JSON value, perhaps with a change in one place."""
        if self.source.random() < 0.1:
            return self.source.choice(VALUES)
        if self.source.random() < 0.3:
            return value
        if isinstance(value, dict) and value:
            key = self.source.choice(list(value))
            rest = {k: v for k, v in value.items() if k != key or self.source.random() < 0.9}
            return rest | {key: self.spoil(value[key])}
        if isinstance(value, list) and value:
            return [self.spoil(one) for one in value] * self.source.choice([1, 1, 1, 12])
        return value

    def request(self, host) -> bytes:
        source = self.source
        method, path, record = source.choice(self.calls[host])
        if source.random() < 0.15:
            method = source.choice(METHODS)
        if source.random() < 0.15:
            at = source.randrange(len(path))
            path = (
                path[:at] + source.choice(["/", "%", "%00", "%2F", "..", "?", "%ff"]) + path[at:]
            )
        version = "2020-03-13" if host == self.device.simulator.hub else "2021-10-01"
        version = source.choice([version] * 12 + ["", "x", "%00"])
        body = b"" if record is None else json.dumps(self.spoil(record)).encode()
        if source.random() < 0.1:
            body = body[: source.randrange(len(body) + 1)] + source.randbytes(3)
        fields = {"Host": host, "Content-Length": str(len(body))}
        right = f"Bearer {self.bearer}" if path.startswith("subscriptions") else self.token
        wrong = ["", "Basic x", "Bearer ", self.token[:-9]]
        fields["Authorization"] = source.choice([right] * 16 + wrong)
        for name in ("If-Match", "x-ms-max-item-count", "x-ms-continuation", "Content-Type"):
            if source.random() < 0.4:
                fields[name] = source.choice(
                    ["*"] * 5
                    + ["1", "0", "-1", "99999999999999999999", "x", "application/json", "\xb2"]
                    + ["application/vnd.microsoft.iothub.json"]
                )
        lines = [f"{method} /{path}?api-version={version} HTTP/1.1"]
        lines += [*(f"{name}: {value}" for name, value in fields.items()), "", ""]
        data = "\r\n".join(lines).encode("latin-1") + body
        if source.random() < 0.05:
            at = source.randrange(len(data))
            data = data[:at] + source.randbytes(2) + data[at:]
        return data
