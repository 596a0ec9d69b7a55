"""Any call of DPS, made without our own client code, and the form of DPS's errors."""

import re

import requests

API = "2021-06-01"
TIMEOUT_S = 20
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KINDS = {"enrollments": "registrationId", "enrollmentGroups": "enrollmentGroupId"}
CERTS_KEY = {"enrollments": "clientCertificates", "enrollmentGroups": "signingCertificates"}
ANY = {"If-Match": "*"}


class Caller:
    """A device of the enrolled group, which makes any request to DPS."""

    def __init__(self, simulator, name):
        self.simulator = simulator
        self.name = name
        self.folder = simulator.device(name).parent.parent

    def __call__(self, method, path, version: str | None = API, **given) -> requests.Response:
        """Make a request with the device's certificate. given: arguments of requests.request."""
        if given.get("data"):
            given.setdefault("headers", {"Content-Type": "application/json"})
        given.setdefault("cert", (self.folder / "full-chain.pem", self.folder / "key.pem"))
        return requests.request(
            method,
            f"https://{self.simulator.dps}/{path}",
            params={"api-version": version} if version else None,
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
            **given,
        )

    @property
    def path(self) -> str:
        return f"{self.simulator.id_scope}/registrations/{self.name}"

    def register(self, **given) -> requests.Response:
        return self("PUT", f"{self.path}/register", **given)


def refused(answer, status: int, code: int) -> None:
    """Check an error answer: the form of the REST reference, status and errorCode."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["errorCode", "trackingId", "message", "timestampUtc"]
    assert body["errorCode"] == code
    assert UUID.fullmatch(body["trackingId"])
    assert answer.headers["x-ms-request-id"] == body["trackingId"]
    assert answer.headers["x-ms-error-code"] == str(code)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert body["message"]


def pem_of(device) -> str:
    return (device.folder / "cert.pem").read_text()


def record(kind: str, name: str, certificate: str, **fields) -> dict:
    return {
        KINDS[kind]: name,
        "attestation": {
            "type": "x509",
            "x509": {CERTS_KEY[kind]: {"primary": {"certificate": certificate}}},
        },
        **fields,
    }


def put(rest, kind: str, name: str, certificate: str, **fields) -> dict:
    """Create or replace an enrollment → the answer's body."""
    answer = rest("PUT", f"{kind}/{name}", record(kind, name, certificate, **fields), headers=ANY)
    assert answer.status_code == 200, answer.text
    return answer.json()
