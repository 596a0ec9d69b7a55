"""DPS over MQTT: register, poll, errors and throttling, as over HTTPS."""

import uuid

import pytest

from helpers.dps_calls import pem_of, put
from helpers.raw_mqtt import publish_packet, raw_client, rid_of
from microdps_tools.simulator.hub.mqtt_packets import BAD_CLIENT_ID, BAD_USER

PUT = "$dps/registrations/PUT/iotdps-register/?$rid={}"
GET = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid={}&operationId={}"
ANSWERS = "$dps/registrations/res/#"


@pytest.fixture
def name():
    return f"dps-mqtt-{uuid.uuid4()}"


@pytest.fixture
def client(simulator, device, name):
    """A device that is connected to DPS, and has subscribed to its answers."""
    with raw_client(simulator, simulator.dps_mqtt, name) as client:
        user = f"{simulator.id_scope}/registrations/{name}/api-version=2019-03-31"
        assert client.open(name, f"{user}&ClientVersion=tests%2F1") == (0, 0)
        assert client.subscribe(ANSWERS) == [1]
        yield client


def register(client, body=b"{}", rid="1"):
    return client.ask(PUT.format(rid), body)


def test_register_and_poll(simulator, client, name):
    topic, answer = register(client, b'{"registrationId": "%s"}' % name.encode(), "4f")
    assert topic == "$dps/registrations/res/202/?$rid=4f&retry-after=1"
    assert set(answer) == {"operationId", "status"}
    topic, answer = client.ask(GET.format("2", answer["operationId"]))
    assert topic == "$dps/registrations/res/200/?$rid=2"
    state = answer["registrationState"]
    assert (answer["status"], state["assignedHub"]) == ("assigned", simulator.hub)
    assert state["deviceId"] == name


def test_errors_have_the_bodies_of_https(client):
    topic, answer = client.ask(GET.format("3", "5.x"))
    assert topic == "$dps/registrations/res/404/?$rid=3"
    assert list(answer) == ["errorCode", "trackingId", "message", "timestampUtc"]
    assert answer["errorCode"] == 404201
    assert register(client, b"[]")[1]["errorCode"] == 400004
    assert register(client, b'{"csr": "AAAA"}')[1]["errorCode"] == 400004


@pytest.mark.parametrize("certificate", [True, False])
def test_certificate_is_judged_after_the_connack(simulator, name, certificate):
    from microdps_tools.certs.making import issue

    simulator.write_identity(name, issue(name))
    given = name if certificate else None
    with raw_client(simulator, simulator.dps_mqtt, given) as client:
        user = f"{simulator.id_scope}/registrations/{name}/api-version=2019-03-31"
        assert client.open(name, user) == (0, 0)
        client.subscribe(ANSWERS)
        topic, answer = register(client)
        assert topic.startswith("$dps/registrations/res/401/")
        assert answer["errorCode"] == 401002


def test_wrong_scope_and_wrong_version(simulator, device, name):
    for user, code in (
        (f"0ne00000000/registrations/{name}/api-version=2019-03-31", 401002),
        (f"{simulator.id_scope}/registrations/{name}/api-version=2011-01-01", 400004),
    ):
        with raw_client(simulator, simulator.dps_mqtt, name) as client:
            assert client.open(name, user) == (0, 0)
            client.subscribe(ANSWERS)
            assert register(client)[1]["errorCode"] == code


def test_user_name_and_client_id(simulator, device, name):
    right = f"{simulator.id_scope}/registrations/{name}/api-version=2019-03-31"
    for client_id, user, code in (
        (name, "", BAD_USER),
        (name, f"localhost/{name}/?api-version=2021-04-12", BAD_USER),
        (name, f"{simulator.id_scope}/registrations/{name}", BAD_USER),
        ("somebody-else", right, BAD_CLIENT_ID),
        ("", right, BAD_CLIENT_ID),
    ):
        with raw_client(simulator, simulator.dps_mqtt, name) as client:
            assert client.open(client_id, user) == (0, code), user
            assert client.is_closed()


def test_disabled_enrollment(client, device, rest, name):
    put(rest, "enrollments", name, pem_of(device), provisioningStatus="disabled")
    topic, answer = register(client)
    assert topic.startswith("$dps/registrations/res/200/")
    assert answer["status"] == answer["registrationState"]["status"] == "disabled"


def test_polls_are_throttled(client):
    answers = [client.ask(GET.format(n, "5.x"))[0] for n in range(6)]
    assert [topic.split("/")[3] for topic in answers] == ["404"] * 5 + ["429"]
    assert "&retry-after=" in answers[5]
    assert rid_of(answers[5]) == "5"


def test_faults_apply_as_over_https(simulator, client):
    with simulator.faults(
        "dps:status=503,retry-after=7,times=1", "dps:slow=50,times=1", "dps:redirect=https://x/"
    ) as times:
        assert register(client)[0] == "$dps/registrations/res/503/?$rid=1&retry-after=7"
        assert times() == [1, 1, 0]  # MQTT has no redirects
    assert register(client)[0].startswith("$dps/registrations/res/202/")


def test_other_topics(simulator, client):
    assert client.subscribe("$dps/#", ANSWERS) == [0x80, 1]
    client.send(publish_packet("$dps/registrations/POST/other/?$rid=1", b"{}", 7))
    client.ping()
    client.send(publish_packet(PUT.format(1), b" " * (96 * 1024 + 1), 7))
    assert client.is_closed()


def test_answer_without_a_subscription(simulator, device, name):
    with raw_client(simulator, simulator.dps_mqtt, name) as client:
        user = f"{simulator.id_scope}/registrations/{name}/api-version=2019-03-31"
        client.open(name, user)
        client.publish(PUT.format(1))
        assert client.acknowledged() == 1
        client.ping()
    assert [one["status"] for one in simulator.requests(f"{name}/register")] == [202]
