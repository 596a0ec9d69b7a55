"""The device sends by MQTT, against the simulated hub."""

import ast
import socket

import pytest

from helpers.programs import run_code, run_program
from helpers.simulators import enrolled, start_simulator
from microdps_tools.certs.making import issue


@pytest.fixture
def name(request):
    return f"mqtt-{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture(scope="module", params=["renegotiate", "close", "unauthorized"])
def late(request, tmp_path_factory):
    """A simulator whose hub asks for the certificate late or never, for each such kind."""
    folder = tmp_path_factory.mktemp(request.param)
    with start_simulator(folder, "--hub-certificate", request.param) as at:
        yield enrolled(folder, at)


def test_simulator_on_an_address_of_this_machine(which, name, tmp_path):
    """A board on a desk connects to its IP address. Its certificate contains that address."""
    with start_simulator(tmp_path, "--host", "127.0.0.2") as at:
        assert at["dps"].startswith("127.0.0.2:")
        simulator = enrolled(tmp_path, at)
        for transport in ("https", "mqtt"):
            result = simulator.provision(which, simulator.device(name), name, transport=transport)
            assert result.lines[-1] == "sent 1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(at["dps"].split(":")[1])))


def test_hub_that_asks_late_gets_each_message_once_by_mqtt(late, which, name):
    result = late.provision(which, late.device(name), name, 3)
    assert result.lines[-1] == "sent 3"
    assert len(late.messages(name)) == 3
    done = [r["method"] for r in late.requests(name) if r["path"].startswith("mqtt:")]
    assert done == ["CONNECT", "PUBLISH", "PUBLISH", "PUBLISH"]


def test_mqtt_is_not_loaded_while_https_works(simulator, which, name):
    lines = run_code(
        which,
        "from microdps.device import Device\n"
        "from microdps.identity import Identity\n"
        f"identity = Identity.from_files({str(simulator.device(name))!r})\n"
        f"device = Device(identity, {simulator.id_scope!r}, {name!r}, {simulator.dps!r})\n"
        "device.send({})\n"
        "print(sorted(name[9:] for name in sys.modules if name[:9] == 'microdps.'))\n",
    ).lines
    never = {"backoff", "late_certificate", "protocol.mqtt", "protocol.properties", "memory"}
    loaded = set(ast.literal_eval(lines[-1]))
    assert {"device", "session", "errors", "protocol.http", "protocol.hub"} <= loaded
    assert not (never | {"driver.link_error", "protocol.redirect", "state"}) & loaded


def test_transport_by_configuration(simulator, which, name):
    identity = simulator.device(name)
    assert simulator.provision(which, identity, name, 2, transport="mqtt").lines[-1] == "sent 2"
    ((properties, body), _) = simulator.messages(name)
    assert properties == {"content-type": "application/json", "content-encoding": "utf-8"}
    assert body == b'{"temperature": 30, "i": 0}' or body == b'{"i": 0, "temperature": 30}'


def test_hub_refuses_another_certificate_over_mqtt_too(simulator, which, name):
    """The device is enrolled with one certificate, and sends with another one."""
    identity = simulator.device(name)
    assert simulator.provision(which, identity, name).lines[-1] == "sent 1"
    stranger = issue("stranger", ca=True)
    simulator.write_identity(name, issue(name, stranger), [stranger.cert])
    arguments = (identity, simulator.hub, name, 1)
    assert run_program(which, "mqtt_publish.py", *arguments).lines == [
        "error ServiceError connack"
    ]


def test_device_under_asyncio_sends_by_mqtt(late_simulator, which, name):
    identity = late_simulator.device(name)
    arguments = (identity, late_simulator.id_scope, name, late_simulator.dps, "send")
    assert run_program(which, "blink.py", *arguments).lines[1] == "sent 2"
    assert len(late_simulator.messages(name)) == 2
