"""microdps demo: the main job, from certificates to accepted messages, on this machine alone."""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from host_tools import CHECKOUT, ToolError, certs, config, enroll, interpreter, run
from host_tools.simulator.store import Store
from microdps.program.config import TRANSPORTS

MESSAGES = 10
START_S = 30
READY = re.compile(
    r"ready dps=https://(?P<dps>\S+) hub=https://(?P<hub>\S+)( hub=\S+)* page=(?P<page>\S+)"
    r" id_scope=(?P<id_scope>\S+) root=(?P<root>.+)"
)


@contextlib.contextmanager
def simulator(state: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run the simulator on free ports as a process of its own → what its ready line says, and pid.

    It is ended on the way out, by its process ID. Raises ToolError if it does not start.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # the log has the key in it
    log = state / "simulator.log"
    command = [sys.executable, "-m", "host_tools", "simulate", "--state", str(state)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--dps-port=0", "--hub-port=0", "--page-port=0", *options],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _ready(process, log) | {"pid": str(process.pid)}
    finally:
        process.terminate()
        process.wait()


def _ready(process: subprocess.Popen, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        text = log.read_text()
        found = READY.search(text)
        if found:
            return found.groupdict()
        if process.poll() is not None:
            raise ToolError(f"the simulator did not start: {text.strip()}")
        time.sleep(0.02)
    raise ToolError(f"the simulator was not ready within {START_S} s: {log.read_text().strip()}")


def demo(
    folder: Path, enrollment: str, hub_certificate: str = "handshake", transport: str = "auto"
) -> str:
    """Do the main job in an empty folder → its last line. Raises ToolError where it fails.

    enrollment  "group": a chain, the intermediate enrolled; "individual": a self-signed
                certificate, and a device ID that differs from the registration ID
    """
    which = interpreter.find()
    registration_id = "device-01"
    device_id = registration_id if enrollment == "group" else "thermometer-7"
    make = certs.chain if enrollment == "group" else certs.self_signed
    identity = make(registration_id, folder / "certs", "ec-p256", certs.DEVICE_DAYS, False)
    print(f"certificate of {registration_id} made")
    state = folder / "simulator"
    with simulator(state, "--hub-certificate", hub_certificate) as at:
        print(f"simulator listens: DPS on {at['dps']}, hub on {at['hub']}")
        key = enroll.connection_string(state / "connection-string.key.txt")
        service = enroll.Service(key, Path(at["root"]))
        if enrollment == "group":
            enroll.group(service, "group-01", folder / "certs" / "intermediate.cert.pem")
        else:
            enroll.individual(service, registration_id, identity / "cert.pem", device_id)
        print(f"enrolled: {enrollment}")
        device = folder / "device"
        settings = {
            "id_scope": at["id_scope"],
            "registration_id": registration_id,
            "host": at["dps"],
            "interval_s": 0.1,
            "messages": MESSAGES,
            "transport": transport,
        }
        config.write_config(device, settings)
        config.write_identity(device, identity, at["root"])
        code = run.run(device, which)
        if code:
            raise ToolError(f"the device failed with exit code {code}; its last line says why")
    return _counted(state, at["hub"], device_id)


def _counted(state: Path, hub: str, device_id: str) -> str:
    """What the simulator's own record says. Raises ToolError unless it is all messages."""
    store = Store(state)
    try:
        accepted = sum(message[:2] == (hub, device_id) for message in store.messages())
    finally:
        store.close()
    if accepted != MESSAGES:
        raise ToolError(f"the hub accepted {accepted} of {MESSAGES} messages for {device_id}")
    return f"demo: {accepted} messages accepted by {hub} for {device_id}"


def add_parser(verbs) -> None:
    verb = verbs.add_parser(
        "demo",
        help="the main job on this machine: simulator, device, 10 messages",
        description=__doc__,
        epilog="example: microdps demo --enrollment individual --keep demo-files",
    )
    verb.add_argument("--enrollment", choices=("group", "individual"), default="group")
    verb.add_argument(
        "--hub",
        choices=("handshake", "renegotiate", "close", "unauthorized"),
        default="handshake",
        help="when the hub asks for the certificate over HTTPS, as for microdps simulate",
    )
    verb.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="auto",
        help="how the device sends (%(default)s)",
    )
    verb.add_argument("--keep", type=Path, help="leave all its files in this new folder")
    verb.set_defaults(function=_run)


def _run(args: argparse.Namespace) -> None:
    if args.keep and args.keep.exists():
        raise ToolError(f"{args.keep} is there already: name a new folder")
    folder = args.keep or Path(tempfile.mkdtemp(prefix="microdps-demo-"))
    try:
        print(demo(folder, args.enrollment, args.hub, args.transport))
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
