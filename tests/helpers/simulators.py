"""A simulator for tests: a separate process, with an enrolled group, and devices for it."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import requests

from helpers.programs import TIMEOUT_S, Result, run_program
from microdps_tools.certs.certificate_folder import device_files, make_chain
from microdps_tools.certs.making import CertAndKey, issue
from microdps_tools.certs.reading import load_cert_and_key
from microdps_tools.device import config
from microdps_tools.enroll import connection_string
from microdps_tools.enroll.ca_certificates import open_instance
from microdps_tools.enroll.enrollment import enroll_group
from microdps_tools.enroll.service_api import ServiceApi
from microdps_tools.files import write_files
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.store.store import Store


@dataclass
class Simulator:
    """A running simulator with an enrollment group. It makes devices on demand."""

    state: Path
    folder: Path
    dps: str
    hub: str
    page: str
    id_scope: str
    root: Path
    dps_mqtt: str = ""

    @property
    def service(self) -> ServiceApi:
        key = connection_string.read(self.state / "connection-string.key.txt")
        return ServiceApi(key, self.root)

    def verify_ca(self, name: str, ca: Path) -> None:
        """Upload a CA certificate, marked as verified."""
        with open_instance(self.state / "connection-string.key.txt", self.root) as instance:
            instance.upload(name, ca, verified=True)

    @property
    def mqtt_port(self) -> int:
        """The port of the hub's MQTT."""
        return int(self.hub.split(":")[1]) + 1

    def messages(self, device_id: str) -> list[tuple[dict, bytes]]:
        """Properties and body of the messages that the hub has accepted from a device."""
        with contextlib.closing(Store(self.state)) as store:
            return [message[2:] for message in store.messages.all() if message[1] == device_id]

    def requests(self, part: str) -> list[dict]:
        """The requests whose path contains a text."""
        with contextlib.closing(Store(self.state)) as store:
            return [request for request in store.requests.all() if part in request["path"]]

    def admin(self, method: str, call: str, body: dict | None = None):
        """Make an admin call → its answer. Fails if that is an error."""
        answer = requests.request(method, f"{self.page}admin/{call}", json=body, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextlib.contextmanager
    def faults(self, *faults: str):
        """Switch faults on, until the with statement ends → a function that counts.

        The function returns how often each fault was triggered.
        """
        for fault in faults:
            self.admin("POST", "faults", {"fault": fault})
        try:
            yield lambda: [one["times"] for one in self.admin("GET", "faults")]
        finally:
            self.admin("DELETE", "faults")

    def device(self, name: str, **issued) -> Path:
        """Write the identity of a device of the enrolled group → its folder."""
        device = issue(name, self.intermediate, **issued)
        return self.write_identity(name, device, [self.intermediate.cert])

    def made(self, name: str) -> Path:
        """The certificate folder of a device that was written before."""
        return self.folder / "devices" / name

    def write_identity(
        self, name: str, pair: CertAndKey, issuers=(), roots: Path | None = None
    ) -> Path:
        """Write a device's identity → its folder. roots: instead of the simulator's root."""
        made = self.made(name)
        write_files(made, device_files(pair, list(issuers)), force=True)
        shutil.rmtree(made / "identity", ignore_errors=True)
        config.write_identity(made, made, str(roots or self.root))
        return made / "identity" / "a"

    @property
    def intermediate(self) -> CertAndKey:
        return load_cert_and_key(
            self.folder / "certs" / "intermediate.cert.pem",
            self.folder / "certs" / "intermediate.key.pem",
        )

    def provision(self, which, identity: Path, name: str, messages: int = 1, **given) -> Result:
        """Run the device on an interpreter against this simulator."""
        return run_program(
            which,
            "provision.py",
            identity,
            given.get("id_scope", self.id_scope),
            name,
            given.get("host", self.dps),
            given.get("timeout_ms", 10_000),
            messages,
            given.get("transport", "auto"),
            prefix=given.get("prefix", ()),
        )


def start_simulator(folder: Path, *options: str):
    """Context manager: a simulator in a folder, which also has an intermediate to enroll."""
    make_chain("unused", folder / "certs", "ec-p256", 30, force=False)
    return running_simulator(
        folder / "state", "--assign-after", "0", "--retry-after", "1", *options
    )


def enrolled(folder: Path, at: dict[str, str]) -> Simulator:
    """Enroll the intermediate of a simulator that start_simulator() has started."""
    running = Simulator(
        folder / "state",
        folder,
        at["dps"],
        at["hub"],
        at["page"],
        at["id_scope"],
        Path(at["root"]),
        at.get("dps_mqtt", ""),
    )
    ca = folder / "certs" / "intermediate.cert.pem"
    running.verify_ca("intermediate-01", ca)
    enroll_group(running.service, "group-01", ca)
    return running
