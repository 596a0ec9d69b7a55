"""The simulated hub's device API: telemetry, over real HTTPS."""

import re
import subprocess

import pytest

from helpers.by_hand import BODY, HUB_API, TIMEOUT_S, Device, enrolled_device
from helpers.simulators import enrolled, start_simulator
from microdps_tools.certs.certificate_folder import make_self_signed
from microdps_tools.enroll.enrollment import enroll_individual
from microdps_tools.simulator.hub.device_api import VERSIONS

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def name(request):
    """A registration ID for each test."""
    return f"hub-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[-50:]}-0"


@pytest.fixture
def make(simulator):
    """A device of the enrolled group, not provisioned."""
    return lambda name: enrolled_device(simulator, name)


@pytest.fixture
def device(make, name):
    """A device of the enrolled group, provisioned."""
    device = make(name)
    device.provision()
    return device


def refused(answer, status: int, error: str, message: str) -> None:
    """Check an error answer: the legacy form, as azure-iot-sdk-c#1789 shows it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["Message", "ExceptionMessage"]
    assert body["Message"] == f"ErrorCode:{error};{message}"
    tracking_id = answer.headers["x-ms-request-id"]
    assert re.fullmatch(UUID, tracking_id)
    assert body["ExceptionMessage"].startswith(f"Tracking ID:{tracking_id}-TimeStamp:20")
    assert answer.headers["iothub-errorcode"] == error
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["server"] == "Microsoft-HTTPAPI/2.0"


def unauthorized(answer) -> None:
    refused(answer, 401, "IotHubUnauthorizedAccess", "Unauthorized")


def test_message_is_accepted_and_kept(device):
    answer = device.send(
        headers={
            "Content-Type": "application/json",
            "Content-Encoding": "utf-8",
            "iothub-app-Level": "High",
            "X-Other": "not kept",
        }
    )
    assert (answer.status_code, answer.content) == (204, b"")
    headers = {key.lower(): value for key, value in answer.headers.items()}
    assert headers.pop("date")
    assert re.fullmatch(UUID, headers.pop("x-ms-request-id"))
    assert headers == {
        "content-length": "0",
        "vary": "Origin",
        "server": "Microsoft-HTTPAPI/2.0",
    }
    properties = {
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "iothub-app-level": "High",
    }
    assert device.messages() == [(properties, BODY)]


def test_messages_keep_their_order_and_any_bytes_are_a_body(device):
    bodies = [b"", bytes(range(256)), b"x" * (256 * 1024)]
    for body in bodies:
        assert device.send(data=body).status_code == 204
    assert [body for _, body in device.messages()] == bodies


@pytest.mark.parametrize("version", VERSIONS)
def test_every_published_version(device, version):
    assert device.send(version=version).status_code == 204


def test_device_that_is_not_provisioned(make, name):
    device = make(name)
    unauthorized(device.send())
    device.provision()
    assert device.send().status_code == 204
    assert len(device.messages()) == 1


def test_certificate_of_another_device(make, device, name):
    other = make(f"{name}1")
    other.provision()
    unauthorized(other.send(device.name))
    assert device.messages() == []
    assert other.send().status_code == 204


def test_no_certificate(device):
    unauthorized(device.send(cert=None))
    assert device.messages() == []


def test_registered_leaf_needs_no_issuer(device):
    key = device.cert[1]
    assert device.send(cert=(key.parent / "cert.pem", key)).status_code == 204


def test_new_leaf_of_the_same_issuer_registers_first(simulator, device):
    """A hub knows a group's device by the leaf with which it registered."""
    simulator.device(device.name)
    unauthorized(device.send())
    (request,) = [one for one in simulator.requests(device.name) if one["status"] == 401]
    assert "a new leaf registers first" in request["error"]
    device.provision()
    assert device.send().status_code == 204


def test_group_by_issuer(tmp_path):
    """The other reading: any leaf that the group accepts."""
    with start_simulator(tmp_path, "--group-device=issuer") as at:
        running = enrolled(tmp_path, at)
        device = enrolled_device(running, "renewed-01")
        device.provision()
        running.device(device.name)
        assert device.send().status_code == 204


def test_path_in_another_case(device):
    answer = device.send(path=f"devices/{device.name}/messages/deviceBound", method="GET")
    assert answer.status_code == 204


def test_individual_device_must_have_its_own_certificate(simulator, name, tmp_path):
    folder = make_self_signed(name, tmp_path, "ec-p256", 30, False)
    enroll_individual(simulator.service, name, folder / "cert.pem", "thermometer-8")
    device = Device(simulator, name, folder)
    device.provision()
    unauthorized(device.send())
    assert device.send("thermometer-8").status_code == 204
    assert len(device.messages("thermometer-8")) == 1
    # The device ID is case-sensitive, the registration ID is not.
    unauthorized(device.send("Thermometer-8"))
    make_self_signed(name, tmp_path, "ec-p256", 30, force=True)
    unauthorized(device.send("thermometer-8"))


@pytest.mark.parametrize(
    "path", ["", "devices", "devices/{}/messages", "devices/{}/messages/events/", "twins/{}"]
)
def test_unknown_path(device, path):
    answer = device.send(path=path.format(device.name))
    refused(answer, 404, "ResourceNotFound", "Resource not found")


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("$iothub/websocket", "WebSockets is not simulated"),
        ("twins/{}", "service API is not simulated"),
        ("devices/{}", "service API is not simulated"),
        ("devices/{}/files", "file upload is not simulated"),
    ],
)
def test_path_that_is_not_simulated_says_so_in_the_log(device, path, cause):
    refused(
        device.send(path=path.format(device.name)), 404, "ResourceNotFound", "Resource not found"
    )
    assert cause in device.simulator.requests(f"/{path.format(device.name)}")[-1]["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unsupported_method(device, method):
    refused(device.send(method=method), 405, "MethodNotAllowed", "Method not allowed")
    assert device.messages() == []


@pytest.mark.parametrize("version", ["", "2021-06-01"])
def test_api_version_that_is_not_supported(device, version):
    answer = device.send(version=version)
    refused(answer, 400, "ArgumentInvalid", "The api-version is not supported")
    assert device.messages() == []


def test_body_over_256_kb(device):
    answer = device.send(data=b"x" * (256 * 1024 + 1))
    refused(answer, 413, "MessageTooLarge", "The request body is too large.")
    assert device.messages() == []


def test_too_large_body_of_a_stranger_is_unauthorized(make, name):
    unauthorized(make(name).send(data=b"x" * (256 * 1024 + 1)))


def test_late_hub_accepts_a_client_that_renegotiates(late_simulator, name):
    """curl renegotiates, through OpenSSL."""
    device = enrolled_device(late_simulator, name)
    device.provision()
    cert, key = device.cert
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", late_simulator.root]
        + ["--cert", cert, "--key", key, "--tls-max", "1.2", "-d", BODY]
        + [f"https://{late_simulator.hub}/devices/{name}/messages/events?api-version={HUB_API}"],
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert (done.stdout, done.stderr) == (b"204", b"")
    assert [body for _, body in device.messages()] == [BODY]


def test_newer_error_body(tmp_path):
    with start_simulator(tmp_path, "--hub-errors=new") as at:
        running = enrolled(tmp_path, at)
        device = enrolled_device(running, "new-01")
        answer = device.send()
        assert answer.status_code == 401
        body = answer.json()
        assert list(body) == ["errorCode", "trackingId", "message", "timestampUtc", "info"]
        assert (body["errorCode"], body["info"]) == (401002, None)
        assert body["trackingId"] == answer.headers["x-ms-request-id"]


def test_disabled_device_is_refused_until_it_is_enabled(device):
    device.simulator.admin("POST", "devices", {"deviceId": device.name, "status": "disabled"})
    refused(device.send(), 403, "DeviceDisabled", "The device is disabled")
    device.provision()  # does not change that
    refused(device.send(), 403, "DeviceDisabled", "The device is disabled")
    device.simulator.admin("POST", "devices", {"deviceId": device.name, "status": "enabled"})
    assert device.send().status_code == 204
