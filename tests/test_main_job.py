"""The main job, end to end, over real TLS, on both interpreters and with curl."""

import json
import re
import subprocess
import time

import pytest

from conftest import enrolled
from microdps_tools import CHECKOUT, interpreter
from microdps_tools.certs.certificate_folder import make_chain
from microdps_tools.certs.making import issue
from microdps_tools.demo.demo import demo
from microdps_tools.enroll.enrollment import enroll_individual
from microdps_tools.simulator.process import running_simulator
from microdps_tools.simulator.store.store import Store

# Seven fractional digits, as the how-to shows them.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")
OPERATION = re.compile(r"5\.[0-9a-f]{16}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def messages(simulator, device_id):
    store = Store(simulator.state)
    try:
        return [m for m in store.messages.all() if m[1] == device_id]
    finally:
        store.close()


@pytest.mark.parametrize("enrollment", ["group", "individual"])
def test_demo(enrollment, which, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(interpreter, "find", lambda: which)
    line = demo(tmp_path, enrollment)
    device_id = "device-01" if enrollment == "group" else "thermometer-7"
    assert re.fullmatch(rf"demo: 10 messages accepted by localhost:\d+ for {device_id}", line)
    shown = capfd.readouterr().out
    assert "Wi-Fi: skipped" in shown
    assert len(re.findall(r"^POST .*: 204 in \d+ ms$", shown, re.MULTILINE)) == 10
    assert len(re.findall(r"^PUT .*/register: 202 in \d+ ms$", shown, re.MULTILINE)) == 1
    assert len(re.findall(r"^GET .*/operations/.*: 200 in \d+ ms$", shown, re.MULTILINE)) == 1


def test_device_sends_its_chain_and_what_arrives_is_what_was_sent(simulator, which):
    name = f"chain-{which.name}"
    result = simulator.provision(which, simulator.device(name), name, messages=3)
    assert result.lines == [f"assigned {simulator.hub} {name} initialAssignment", "sent 3"]
    sent = messages(simulator, name)
    assert [json.loads(body) for _, _, _, body in sent] == [
        {"temperature": 30, "i": i} for i in range(3)
    ]
    assert sent[0][2] == {"content-type": "application/json", "content-encoding": "utf-8"}
    store = Store(simulator.state)
    chains = [r["chain"] for r in store.requests.all() if f"/{name}/" in r["path"]]
    store.close()
    assert len(chains) == 5
    assert all(chain == [name, "microdps test intermediate"] for chain in chains)


@pytest.mark.parametrize("key_type", ["rsa-2048", "rsa-4096"])
def test_rsa_keys(simulator, which, key_type):
    name = f"{key_type}-{which.name}"
    identity = simulator.device(name, key_type=key_type)
    assert simulator.provision(which, identity, name).lines[-1] == "sent 1"


def test_retry_after_is_waited_for(tmp_path, micropython):
    make_chain("slow", tmp_path / "certs", "ec-p256", 30, False)
    with running_simulator(tmp_path / "state", "--retry-after", "3", "--assign-after", "0") as at:
        simulator = enrolled(tmp_path, at)
        assert simulator.provision(micropython, simulator.device("slow"), "slow").lines
        store = Store(simulator.state)
        times = {r["method"]: r["at"] for r in store.requests.all() if "/slow/" in r["path"]}
        store.close()
    assert 3.0 <= times["GET"] - times["PUT"] < 5


def test_hub_that_asks_late_gets_its_own_error(late_simulator, which):
    name = f"late-{which.name}"
    result = late_simulator.provision(which, late_simulator.device(name), name, transport="https")
    assert result.lines[0].startswith("assigned ")
    assert result.error[:2] == ["LinkError", "late-certificate"]
    assert "asks for the certificate late, which stock MicroPython refuses" in result.text
    assert messages(late_simulator, name) == []


class Curl:
    """The how-to's own commands, but for where they connect, and the root they trust."""

    def __init__(self, simulator, folder):
        self.simulator = simulator
        self.folder = folder

    def __call__(self, command: str, port: str):
        """Run a how-to's command → status, headers (lower case), body."""
        extra = f"--connect-to ::localhost:{port.split(':')[1]} --cacert {self.simulator.root} -sS"
        done = subprocess.run(
            ["bash", "-c", command.replace("curl ", f"curl {extra} ", 1)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        lines = head.split("\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return lines[0], headers, body


def how_to(simulator, folder, name, cert, key):
    """Play the how-to's three commands, and hold the answers against the how-to's."""
    curl = Curl(simulator, folder)
    scope = simulator.id_scope
    base = f"https://global.azure-devices-provisioning.net/{scope}/registrations/{name}"
    fields = "-H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8'"
    status, headers, body = curl(
        f"curl -L -i -X PUT --cert {cert} --key {key} {fields}"
        f' -d \'{{"registrationId": "{name}"}}\' {base}/register?api-version=2021-06-01',
        simulator.dps,
    )
    assert status == "HTTP/1.1 202 Accepted"
    assert headers.pop("date")
    assert UUID.fullmatch(headers.pop("x-ms-request-id"))
    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "transfer-encoding": "chunked",
        "location": f"{base}/register".lower(),
        "retry-after": "1",  # 3 in the how-to; the simulator was told to say 1
        "strict-transport-security": "max-age=31536000; includesubdomains",
    }
    answer = json.loads(body)
    operation = answer.pop("operationId")
    assert OPERATION.fullmatch(operation)
    assert answer == {"status": "assigning"}

    status, headers, body = curl(
        f"curl -L -i -X GET --cert {cert} --key {key} {fields}"
        f" {base}/operations/{operation}?api-version=2021-06-01",
        simulator.dps,
    )
    assert status == "HTTP/1.1 200 OK"
    assert headers.pop("date")
    assert UUID.fullmatch(headers.pop("x-ms-request-id"))
    assert headers == {
        "content-type": "application/json; charset=utf-8",
        "transfer-encoding": "chunked",
        "strict-transport-security": "max-age=31536000; includesubdomains",
    }
    answer = json.loads(body)
    state = answer.pop("registrationState")
    assert answer == {"operationId": operation, "status": "assigned"}
    assert list(state) == [
        "x509",
        "registrationId",
        "createdDateTimeUtc",
        "assignedHub",
        "deviceId",
        "status",
        "substatus",
        "lastUpdatedDateTimeUtc",
        "etag",
    ]
    assert MOMENT.fullmatch(state.pop("createdDateTimeUtc"))
    assert MOMENT.fullmatch(state.pop("lastUpdatedDateTimeUtc"))
    assert state.pop("etag")
    assert state == {
        "x509": {},
        "registrationId": name,
        "assignedHub": simulator.hub,
        "deviceId": name,
        "status": "assigned",
        "substatus": "initialAssignment",
    }

    status, headers, body = curl(
        f"curl -L -i -X POST --cert {cert} --key {key} {fields}"
        " -d '{\"temperature\": 30}'"
        f" https://MyExampleHub.azure-devices.net/devices/{name}/messages/events"
        "?api-version=2020-03-13",
        simulator.hub,
    )
    assert status == "HTTP/1.1 204 No Content"
    assert headers.pop("date")
    assert UUID.fullmatch(headers.pop("x-ms-request-id"))
    assert headers == {
        "content-length": "0",
        "vary": "origin",
        "server": "microsoft-httpapi/2.0",
    }
    assert body == ""
    assert [m[3] for m in messages(simulator, name)] == [b'{"temperature": 30}']


def test_how_tos_curl_self_signed(simulator, tmp_path):
    """With the how-to's own openssl command, RSA 4096 and pass phrase included."""
    subprocess.run(
        "openssl req -outform PEM -x509 -sha256 -newkey rsa:4096 -keyout device-key.pem"
        " -out device-cert.pem -days 30 -extensions usr_cert -addext extendedKeyUsage=clientAuth"
        ' -subj "/CN=my-x509-device" -passout pass:1234',
        shell=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    enroll_individual(simulator.service, "my-x509-device", tmp_path / "device-cert.pem", None)
    how_to(simulator, tmp_path, "my-x509-device", "device-cert.pem:1234", "device-key.pem")


@pytest.mark.parametrize("hub", ["handshake", "renegotiate"])
def test_how_tos_curl_chain(hub, request, tmp_path):
    """curl passes both kinds of hub."""
    simulator = request.getfixturevalue("simulator" if hub == "handshake" else "late_simulator")
    made = simulator.device("device-01").parent.parent
    how_to(simulator, made, "device-01", "full-chain.pem", "key.pem")


def test_leaf_without_its_issuer_is_refused(simulator, which):
    pair = issue(f"alone-{which.name}", simulator.intermediate)
    identity = simulator.lay(f"alone-{which.name}", pair)
    result = simulator.provision(which, identity, f"alone-{which.name}")
    assert result.error[:2] == ["ServiceError", "401002"]
    assert "every issuer up to the enrolled certificate is in cert.der" in result.text


def test_forged_leaf_with_the_right_names_is_refused(simulator, which):
    """An issuer of the right name and another key, and the true issuer sent behind it."""
    true = simulator.intermediate
    false = issue("microdps test intermediate", ca=True)
    pair = issue(f"forged-{which.name}", false)
    for issuers in ([false.cert], [true.cert], [false.cert, true.cert]):
        identity = simulator.lay(f"forged-{which.name}", pair, issuers)
        result = simulator.provision(which, identity, f"forged-{which.name}")
        assert result.error[:2] == ["ServiceError", "401002"]


def test_demo_leaves_nothing_running_and_nothing_behind(tmp_path):
    """As a process of its own, as `make demo` runs it."""
    command = [*interpreter.cpython().command, "-m", "microdps_tools", "demo"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 20
    assert re.search(r"demo: 10 messages accepted by \S+ for device-01\n$", done.stdout)
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in running.stdout


def test_demo_that_fails_says_so_in_a_sentence(tmp_path):
    command = [*interpreter.cpython().command, "-m", "microdps_tools", "demo"]
    command += ["--hub", "renegotiate", "--transport", "https"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("microdps: the device failed")
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
