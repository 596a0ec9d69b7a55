"""kill -9 under load: what was answered with 204, a PUBACK or 200 is there after a restart."""

import contextlib
import re
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
LEAST = 60  # acknowledgements of each kind before it is killed


@contextlib.contextmanager
def running(state):
    """A simulator of our own, to be killed → process, and what its ready line says."""
    command = [sys.executable, "-m", "microdps_tools", "simulate", "--state", str(state)]
    command += ["--dps-port=0", "--hub-port=0", "--page-port=0"]
    command += ["--assign-after=0", "--retry-after=1"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = next(filter(None, map(READY.search, process.stdout)))
            # Its log must not fill the pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield process, ready.groupdict()
        finally:
            process.kill()


class Load(threading.Thread):
    """Does something again and again until it fails, and keeps what was acknowledged."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act = act
        self.acknowledged = []
        self.enough = threading.Event()
        self.start()

    def run(self):
        while True:
            mark = str(uuid.uuid4())
            try:
                if not self.act(mark):
                    return
            except (OSError, requests.RequestException, ToolError):
                return
            self.acknowledged.append(mark)
            if len(self.acknowledged) == LEAST:
                self.enough.set()


def test_nothing_acknowledged_is_lost(tmp_path):
    make_chain("unused", tmp_path / "certs", "ec-p256", 30, force=False)
    state = tmp_path / "state"
    with running(state) as (process, at), contextlib.ExitStack() as stack:
        simulator = enrolled(tmp_path, at)
        files = {}
        for name in ("by-https", "by-mqtt"):
            folder = simulator.device(name).parent.parent
            files[name] = (str(folder / "full-chain.pem"), str(folder / "key.pem"))
            path = f"{at['id_scope']}/registrations/{name}/register?api-version=2021-06-01"
            answer = requests.put(
                f"https://{at['dps']}/{path}",
                json={},
                cert=files[name],
                verify=at["root"],
                timeout=TIMEOUT_S,
            )
            assert answer.status_code == 202
        session = stack.enter_context(requests.Session())
        url = f"https://{at['hub']}/devices/by-https/messages/events?api-version=2020-03-13"

        def post(mark):
            # Given with each request: an environment variable would take the place of a session's.
            given = {"cert": files["by-https"], "verify": at["root"], "timeout": TIMEOUT_S}
            return session.post(url, mark, **given).status_code == 204

        client = paho.Client(CallbackAPIVersion.VERSION2, "by-mqtt")
        client.tls_set(at["root"], *files["by-mqtt"])
        client.username_pw_set("localhost/by-mqtt/?api-version=2021-04-12")
        client.connect("localhost", int(re.search(r"\d+$", at["hub"])[0]) + 1)
        client.loop_start()

        def publish(mark):
            info = client.publish("devices/by-mqtt/messages/events/", mark, 1)
            if info.rc == paho.MQTT_ERR_NO_CONN:
                return False
            info.wait_for_publish(TIMEOUT_S)
            return info.is_published()

        root = issue("enrolled", ca=True)

        def put(mark):
            pair = issue(mark, root)
            path = tmp_path / f"{mark}.pem"
            path.write_bytes(encoding.pem(pair.cert))
            enroll_individual(simulator.service, mark, path, mark)
            return True

        loads = [
            Load(post),
            Load(publish),
            Load(put),
        ]
        for load in loads:
            assert load.enough.wait(TIMEOUT_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
        client.disconnect()  # so that what is waited for ends
        client.loop_stop()
        for load in loads[::2]:
            load.join(TIMEOUT_S)
    with running(state), contextlib.closing(Store(state)) as store:
        kept = {body.decode() for *_, body in store.messages.all()}
        assert set(loads[0].acknowledged) <= kept
        assert set(loads[1].acknowledged) <= kept
        for name in loads[2].acknowledged:
            assert store.enrollments.get("individual", name)
