"""kill -9 under load: everything that got a 204, a PUBACK or a 200 is there after a restart."""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import uuid

import paho.mqtt.client as paho
import requests
from paho.mqtt.enums import CallbackAPIVersion

from helpers.simulators import enrolled
from microdps_tools import CHECKOUT, ToolError
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import make_chain
from microdps_tools.certs.making import issue
from microdps_tools.enroll.enrollment import enroll_individual
from microdps_tools.simulator.process import READY
from microdps_tools.simulator.store.store import Store

TIMEOUT_S = 30
MIN_ACKNOWLEDGED = 60  # of each kind, before the simulator is killed


@contextlib.contextmanager
def running(state):
    """A simulator that can be killed → process, and the values of its ready line."""
    command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", str(state)]
    command += ["--dps-port=0", "--hub-port=0", "--page-port=0"]
    command += ["--assign-after=0", "--retry-after=1"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = next(filter(None, map(READY.search, process.stdout)))
            # Read its log, so that the pipe does not fill up.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield process, ready.groupdict()
        finally:
            process.kill()


class Load(threading.Thread):
    """Repeats an action until it fails, and keeps the texts that were acknowledged.

    act  takes a new text → was it acknowledged?
    """

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act = act
        self.acknowledged = []
        self.enough = threading.Event()
        self.start()

    def run(self):
        while True:
            text = str(uuid.uuid4())
            try:
                if not self.act(text):
                    return
            except (OSError, requests.RequestException, ToolError):
                return
            self.acknowledged.append(text)
            if len(self.acknowledged) == MIN_ACKNOWLEDGED:
                self.enough.set()


class HttpsDevice:
    """A device that sends messages over HTTPS."""

    def __init__(self, simulator):
        folder = simulator.device("by-https").parent.parent
        self.simulator = simulator
        self.cert = (str(folder / "full-chain.pem"), str(folder / "key.pem"))
        self.session = requests.Session()
        register(simulator, "by-https", self.cert)

    def send(self, text) -> bool:
        # Not attributes of the session: an environment variable would replace them.
        given = {"cert": self.cert, "verify": str(self.simulator.root), "timeout": TIMEOUT_S}
        path = "devices/by-https/messages/events?api-version=2020-03-13"
        url = f"https://{self.simulator.hub}/{path}"
        return self.session.post(url, text, **given).status_code == 204


class MqttDevice:
    """A device that sends messages over MQTT."""

    def __init__(self, simulator):
        folder = simulator.device("by-mqtt").parent.parent
        cert = (str(folder / "full-chain.pem"), str(folder / "key.pem"))
        register(simulator, "by-mqtt", cert)
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "by-mqtt")
        self.client.tls_set(str(simulator.root), *cert)
        self.client.username_pw_set("localhost/by-mqtt/?api-version=2021-04-12")
        self.client.connect("localhost", simulator.mqtt_port)
        self.client.loop_start()

    def send(self, text) -> bool:
        info = self.client.publish("devices/by-mqtt/messages/events/", text, 1)
        if info.rc == paho.MQTT_ERR_NO_CONN:
            return False
        info.wait_for_publish(TIMEOUT_S)
        return info.is_published()

    def stop(self) -> None:
        self.client.disconnect()  # ends all waits for an acknowledgement
        self.client.loop_stop()


def register(simulator, name, cert) -> None:
    path = f"{simulator.id_scope}/registrations/{name}/register?api-version=2021-06-01"
    answer = requests.put(
        f"https://{simulator.dps}/{path}",
        json={},
        cert=cert,
        verify=str(simulator.root),
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 202


def test_nothing_acknowledged_is_lost(tmp_path):
    make_chain("unused", tmp_path / "certs", "ec-p256", 30, force=False)
    state = tmp_path / "state"
    root = issue("enrolled", ca=True)
    with running(state) as (process, at):
        simulator = enrolled(tmp_path, at)

        def enroll(name) -> bool:
            path = tmp_path / f"{name}.pem"
            path.write_bytes(encoding.pem(issue(name, root).cert))
            enroll_individual(simulator.service, name, path, name)
            return True

        https, mqtt = HttpsDevice(simulator), MqttDevice(simulator)
        loads = [Load(https.send), Load(mqtt.send), Load(enroll)]
        for load in loads:
            assert load.enough.wait(TIMEOUT_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
        mqtt.stop()
        for load in loads[::2]:
            load.join(TIMEOUT_S)
        https.session.close()
    with running(state), contextlib.closing(Store(state)) as store:
        kept = {body.decode() for *_, body in store.messages.all()}
        assert set(loads[0].acknowledged) <= kept
        assert set(loads[1].acknowledged) <= kept
        for name in loads[2].acknowledged:
            assert store.enrollments.get("individual", name)


class TwinDevice:
    """A device that changes its twin over MQTT, and acknowledges messages."""

    def __init__(self, simulator):
        folder = simulator.device("by-twin").parent.parent
        cert = (str(folder / "full-chain.pem"), str(folder / "key.pem"))
        register(simulator, "by-twin", cert)
        self.received: list[str] = []
        self.answers: queue.Queue = queue.Queue()
        self.count = 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "by-twin")
        self.client.tls_set(str(simulator.root), *cert)
        self.client.username_pw_set("localhost/by-twin/?api-version=2021-04-12")
        self.client.on_message = self._on_message
        self.client.connect("localhost", simulator.mqtt_port)
        self.client.subscribe([("$iothub/twin/res/#", 1), (INBOX, 1)])
        self.client.loop_start()

    def _on_message(self, client, userdata, message):
        if message.topic.startswith("$iothub/"):
            self.answers.put(message.topic)
        else:
            self.received.append(message.payload.decode())

    def change(self, text) -> bool:
        self.count += 1
        topic = f"$iothub/twin/PATCH/properties/reported/?$rid={self.count}"
        self.client.publish(topic, json.dumps({"count": self.count}), 1)
        try:
            return "/res/204/" in self.answers.get(timeout=2)
        except queue.Empty:  # it was killed
            return False


INBOX = "devices/by-twin/messages/devicebound/#"


def test_twins_and_messages_for_devices_survive(tmp_path):
    """What was answered with 204 or 200 is there; what was not acknowledged comes again."""
    make_chain("unused", tmp_path / "certs", "ec-p256", 30, force=False)
    state = tmp_path / "state"
    with running(state) as (process, at):
        simulator = enrolled(tmp_path, at)
        device, accepted = TwinDevice(simulator), []

        def enqueue(text) -> bool:
            call = {"deviceId": "by-twin", "body": text}
            url = f"{simulator.page}admin/devicebound"
            answer = requests.post(url, json=call, timeout=TIMEOUT_S)
            if answer.status_code == 200:
                accepted.append(text)
            return answer.status_code in (200, 403)  # 403: too many wait already

        loads = [Load(device.change), Load(enqueue)]
        for load in loads:
            assert load.enough.wait(TIMEOUT_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for load in loads:
            load.join(TIMEOUT_S)
        device.client.disconnect()
        device.client.loop_stop()
    with running(state), contextlib.closing(Store(state)) as store:
        (old_hub,) = {one for one, name, _ in store.devices.search("by-twin", ("", ""), 9)}
        twin = store.twins.get(old_hub, "by-twin")
        assert twin["reported"]["count"] >= len(loads[0].acknowledged)
        assert twin["versions"]["reported"] == twin["reported"]["count"] + 1
        left = []
        while found := store.cloud_to_device.lock_next(old_hub, "by-twin", 0, 1e12):
            left.append(found[-1].decode())
        assert accepted
        assert set(accepted) <= set(left) | set(device.received)
