"""make test-clients: published clients against the simulator, each step counted.

Without arguments, all of them; else those whose names are given. Writes the table of
tests/README.md, and ends with 1 if a step has failed.
"""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.simulators import Simulator, enrolled, start_simulator
from microdps_tools import CHECKOUT
from microdps_tools.certs.encoding import pem_files
from microdps_tools.certs.making import issue
from microdps_tools.enroll import connection_string
from microdps_tools.files import write_files

HERE = Path(__file__).parent
PACKAGES = CHECKOUT / "build" / "clients"
NODE = HERE / "node"
README = CHECKOUT / "tests" / "README.md"
START, END = "<!-- clients -->\n", "<!-- end of clients -->\n"
TIMEOUT_S = 180
MANAGEMENT = ("0.2.0", "1.1.0", "1.2.0b2", "2.0.0", "2.1.0")


@dataclass
class World:
    """A simulator with Azure's names, one with ports, and a folder for files."""

    azure: Simulator
    ports: Simulator
    address: str
    folder: Path

    def device(self, simulator: Simulator, name: str) -> tuple[str, str]:
        """Files of a new device of the group: chain and key."""
        folder = simulator.device(name).parent.parent
        return str(folder / "full-chain.pem"), str(folder / "key.pem")


def python(script: str, *arguments: str) -> list[str]:
    """The command of a client in Python."""
    return [sys.executable, str(HERE / script), *arguments]


def steps_of(world: World, command: list, path: Path | None = None) -> dict[str, str]:
    """Run a client → the steps that it tells of, with "ok" or what went wrong."""
    environment = {
        **os.environ,
        "SIMULATOR_ADDRESS": world.address,
        "SIMULATOR_ROOT": str(world.azure.root),
        "SIMULATOR_PAGE": world.azure.page,
        "PYTHONPATH": str(path) if path else "",
    }
    done = subprocess.run(
        list(map(str, command)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    found = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"(ok|fail) (\w+)(?:: (.*))?", line):
            found[match[2]] = "ok" if match[1] == "ok" else match[3] or "failed"
    if done.returncode or not found:
        found["end" if found else "start"] = outcome(done, False)
    return found


def outcome(done: subprocess.CompletedProcess, right: object) -> str:
    """How a command went: "ok", or its exit code and its last words."""
    if right and done.returncode == 0:
        return "ok"
    return f"exit code {done.returncode}: {' '.join((done.stdout + done.stderr).split())[-200:]}"


def by_shell(steps: dict[str, tuple[list, str]]) -> dict[str, str]:
    """Run commands, each with a pattern for its output → the steps."""
    found = {}
    for name, (command, pattern) in steps.items():
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT_S
        )
        found[name] = outcome(done, re.search(pattern, done.stdout + done.stderr))
    return found


def curl(world: World) -> dict[str, str]:
    cert, key = world.device(world.azure, "client-curl")
    base = ["curl", "-sS", "-i", "--cacert", world.azure.root, "--cert", cert, "--key", key]
    base += ["--connect-to", f"::{world.address}:", "-H", "Content-Type: application/json"]
    dps = f"https://global.azure-devices-provisioning.net/{world.azure.id_scope}/registrations"
    hub = f"https://{world.azure.hub}/devices/client-curl/messages"
    dps_version, hub_version = "?api-version=2021-06-01", "?api-version=2020-03-13"
    lookup = f"{dps}/client-curl{dps_version}"
    register = f"{dps}/client-curl/register{dps_version}"
    return by_shell(
        {
            "register": ([*base, "-X", "PUT", "-d", "{}", register], r"^HTTP/1.1 202"),
            "look_up": ([*base, "-d", "{}", lookup], '"status":"assigned"'),
            "send": ([*base, "-d", "{}", f"{hub}/events{hub_version}"], r"^HTTP/1.1 204"),
            "receive": ([*base, f"{hub}/deviceBound{hub_version}"], r"^HTTP/1.1 204"),
        }
    )


def openssl(world: World) -> dict[str, str]:
    cert, key = world.device(world.azure, "client-openssl")
    leaf = Path(cert).with_name("cert.pem")
    base = ["openssl", "s_client", "-CAfile", world.azure.root, "-cert", leaf, "-key", key]
    base += ["-cert_chain", cert, "-verify_return_error", "-brief", "-ign_eof"]
    found = {}
    for name, port in (("https", 443), ("mqtt", 8883)):
        where = ["-connect", f"{world.address}:{port}"]
        where += ["-servername", "global.azure-devices-provisioning.net"]
        request = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        done = subprocess.run(
            list(map(str, [*base, *where])),
            input=request,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        right = "Verification: OK" in done.stderr and "TLSv1.2" in done.stderr
        found[name] = outcome(done, right)
    return found


def mosquitto(world: World) -> dict[str, str]:
    """By port: it cannot be told an address for a name."""
    cert, key = world.device(world.ports, "client-mosquitto")
    user = f"{world.ports.id_scope}/registrations/client-mosquitto/api-version=2019-03-31"
    base = ["-V", "311", "--cafile", world.ports.root, "--cert", cert, "--key", key, "-q", "1"]
    base += ["-i", "client-mosquitto", "-d"]
    dps = ["-h", "localhost", "-p", world.ports.dps_mqtt.split(":")[1], "-u", user]
    hub = ["-h", "localhost", "-p", world.ports.mqtt_port]
    hub += ["-u", "localhost/client-mosquitto/?api-version=2021-04-12"]
    register = ["-t", "$dps/registrations/PUT/iotdps-register/?$rid=1", "-m", "{}"]
    events = ["-t", "devices/client-mosquitto/messages/events/a=b", "-m", "hello"]
    inbox = ["-t", "devices/client-mosquitto/messages/devicebound/#", "-E"]
    return by_shell(
        {
            "register": (["mosquitto_pub", *base, *dps, *register], "received PUBACK"),
            "send": (["mosquitto_pub", *base, *hub, *events], "received PUBACK"),
            "subscribe": (["mosquitto_sub", *base, *hub, *inbox], r"Subscribed \(mid: 1\): 1"),
        }
    )


def device_sdk(world: World) -> dict[str, str]:
    cert, key = world.device(world.azure, "client-python")
    command = python("azure_iot_device.py", world.azure.id_scope, "client-python")
    return steps_of(world, [*command, cert, key], PACKAGES / "clients-device")


def paho(world: World) -> dict[str, str]:
    cert, key = world.device(world.azure, "client-paho")
    command = python("paho_mqtt.py", world.azure.id_scope, "client-paho", cert, key)
    return steps_of(world, command)


def management(version: str) -> Callable[[World], dict[str, str]]:
    def run(world: World) -> dict[str, str]:
        pair = issue(f"client CA {version}", ca=True)
        write_files(world.folder, pem_files(f"ca-{version}", pair), force=True)
        cert = world.folder / f"ca-{version}.cert.pem"
        key = world.folder / f"ca-{version}.key.pem"
        command = python("azure_mgmt.py", version, world.address, service_key(world), str(cert))
        command += ["env", f"PYTHONPATH={CHECKOUT / 'tests'}", sys.executable]
        command += [str(HERE / "prove.py"), str(cert), str(key)]
        return steps_of(world, command, PACKAGES / f"clients-mgmt-{version}")

    return run


def service_key(world: World) -> str:
    text = connection_string.read(world.azure.state / "connection-string.key.txt")
    return connection_string.parse(text)["SharedAccessKey"]


def node(script: str, *arguments: str) -> list[str]:
    return ["node", "--require", str(NODE / "names.cjs"), str(NODE / script), *arguments]


def node_device(transport: str) -> Callable[[World], dict[str, str]]:
    def run(world: World) -> dict[str, str]:
        name = f"client-node-{transport}"
        cert, key = world.device(world.azure, name)
        command = ["env", f"NODE_EXTRA_CA_CERTS={world.azure.root}"]
        command += node("device.cjs", transport, world.azure.id_scope, name, cert, key)
        return steps_of(world, command)

    return run


def node_service(world: World) -> dict[str, str]:
    cert, _ = world.device(world.azure, "client-node-service")
    leaf = Path(cert).with_name("cert.pem")
    text = connection_string.read(world.azure.state / "connection-string.key.txt")
    command = ["env", f"NODE_EXTRA_CA_CERTS={world.azure.root}"]
    command += node("service.cjs", text.strip(), "client-node-service", str(leaf))
    return steps_of(world, command)


CLIENTS: dict[str, Callable[[World], dict[str, str]]] = {
    "curl": curl,
    "openssl": openssl,
    "mosquitto": mosquitto,
    "paho-mqtt": paho,
    "azure-iot-device 2.14.0": device_sdk,
    **{f"azure-mgmt-iothubprovisioningservices {one}": management(one) for one in MANAGEMENT},
    "Node: provisioning and device, HTTP": node_device("http"),
    "Node: provisioning and device, MQTT": node_device("mqtt"),
    "Node: azure-iot-provisioning-service": node_service,
}


@contextlib.contextmanager
def simulators() -> Iterator[World]:
    """Start both simulators."""
    source = random.SystemRandom()
    address = ".".join(["127", *(str(source.randrange(1, 255)) for _ in range(3))])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        options = ("--names=azure", f"--host={address}")
        with (
            start_simulator(folder / "azure", *options) as at,
            start_simulator(folder / "ports") as other,
        ):
            azure = enrolled(folder / "azure", at)
            yield World(azure, enrolled(folder / "ports", other), address, folder)


def table(results: dict[str, dict[str, str]]) -> str:
    lines = ["| client | steps |", "| --- | --- |"]
    for client, steps in results.items():
        told = [
            name.replace("_", " ") if how == "ok" else f"**{name}: {how}**"
            for name, how in steps.items()
        ]
        lines.append(f"| {client} | {', '.join(told)} |")
    return "\n".join(lines) + "\n\n" + summary(results) + "\n"


def summary(results: dict[str, dict[str, str]]) -> str:
    all_steps = [how for steps in results.values() for how in steps.values()]
    failures = sum(how != "ok" for how in all_steps)
    return f"{len(results)} clients, {len(all_steps)} steps, {failures} failures"


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - set(CLIENTS)):
        print(f"there is no client {unknown[0]!r}: use {', '.join(CLIENTS)}", file=sys.stderr)
        return 1
    results = {}
    with simulators() as world:
        for name in names or CLIENTS:
            tool = {"curl": "curl", "openssl": "openssl", "mosquitto": "mosquitto_pub"}.get(name)
            if tool and not shutil.which(tool):
                results[name] = {"start": f"{tool} is not installed"}
            else:
                results[name] = CLIENTS[name](world)
            for step, how in results[name].items():
                print(f"{name}: {step}: {how}", flush=True)
    if not names:
        text = README.read_text()
        before, _, rest = text.partition(START)
        README.write_text(f"{before}{START}{table(results)}{END}{rest.partition(END)[2]}")
    print(summary(results))
    return int(any(how != "ok" for steps in results.values() for how in steps.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
