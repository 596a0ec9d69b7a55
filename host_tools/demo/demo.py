"""The main job on this computer: certificates, simulator, enrollment, device, 10 messages."""

from pathlib import Path

from .. import ToolError, interpreter
from ..certs.certificate_folder import make_chain, make_self_signed
from ..certs.making import DEVICE_DAYS
from ..device.config import write_config, write_identity
from ..device.run import run
from ..enroll import connection_string
from ..enroll.ca_certificates import open_instance
from ..enroll.enrollment import enroll_group, enroll_individual
from ..enroll.service_api import ServiceApi
from ..simulator.process import running_simulator
from ..simulator.store.store import Store

MESSAGES = 10
REGISTRATION_ID = "device-01"


def demo(
    folder: Path, enrollment: str, hub_certificate: str = "handshake", transport: str = "auto"
) -> str:
    """Do the main job in an empty folder → a line about the result. Raises ToolError.

    enrollment       "group": a certificate chain, whose intermediate is enrolled; "individual": a
                     self-signed certificate, and a device ID that differs from the registration ID
    hub_certificate  as `microdps simulate --hub-certificate` takes it
    transport        as config.json has it
    """
    which = interpreter.find()
    device_id = REGISTRATION_ID if enrollment == "group" else "thermometer-7"
    make = make_chain if enrollment == "group" else make_self_signed
    certificate = make(REGISTRATION_ID, folder / "certs", "ec-p256", DEVICE_DAYS, False)
    print(f"certificate of {REGISTRATION_ID} made")
    state = folder / "simulator"
    with running_simulator(state, "--hub-certificate", hub_certificate) as ready:
        print(f"simulator listens: DPS on {ready['dps']}, hub on {ready['hub']}")
        key_file, root = state / "connection-string.key.txt", Path(ready["root"])
        service = ServiceApi(connection_string.read(key_file), root)
        if enrollment == "group":
            ca = folder / "certs" / "intermediate.cert.pem"
            with open_instance(key_file, root) as instance:
                print(instance.upload("intermediate-01", ca, verified=True))
            enroll_group(service, "group-01", ca)
        else:
            enroll_individual(service, REGISTRATION_ID, certificate / "cert.pem", device_id)
        print(f"enrolled: {enrollment}")
        code = run(_configure(folder / "device", certificate, ready, transport), which)
        if code:
            raise ToolError(f"the device failed with exit code {code}; its last line says why")
    return _count_messages(state, ready["hub"], device_id)


def _configure(folder: Path, certificate: Path, ready: dict[str, str], transport: str) -> Path:
    """Write the device's folder → that folder."""
    settings = {
        "id_scope": ready["id_scope"],
        "registration_id": REGISTRATION_ID,
        "host": ready["dps"],
        "interval_s": 0.1,
        "messages": MESSAGES,
        "transport": transport,
    }
    write_config(folder, settings)
    write_identity(folder, certificate, ready["root"])
    return folder


def _count_messages(state: Path, hub: str, device_id: str) -> str:
    """Count the messages in the simulator's state. Raises ToolError unless all are there."""
    store = Store(state)
    try:
        accepted = sum(message[:2] == (hub, device_id) for message in store.messages.all())
    finally:
        store.close()
    if accepted != MESSAGES:
        raise ToolError(f"the hub accepted {accepted} of {MESSAGES} messages for {device_id}")
    return f"demo: {accepted} messages accepted by {hub} for {device_id}"
