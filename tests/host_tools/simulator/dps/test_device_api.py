"""DPS's device API, over real HTTPS."""

import subprocess

import pytest

from helpers.dps_calls import TIMEOUT_S, Caller, pem_of, put, refused
from helpers.hostile import log_lines
from microdps_tools.simulator.dps.device_api import VERSIONS


def test_assigned(device):
    answer = device.register(json={"registrationId": device.name})
    assert answer.status_code == 202
    assert answer.json()["status"] == "assigning"
    answer = device("GET", f"{device.path}/operations/{answer.json()['operationId']}")
    assert answer.status_code == 200
    assert answer.json()["registrationState"]["deviceId"] == device.name


def test_body_may_be_left_out(device):
    assert device.register().status_code == 202


@pytest.mark.parametrize("version", VERSIONS)
def test_every_published_version_of_the_device_api(device, version):
    assert device.register(version=version).status_code == 202


@pytest.mark.parametrize(
    "path",
    ["", "nowhere", "{base}/register/", "{base}/registered", "x/enrollments/y"],
)
def test_unknown_path(device, path):
    refused(device("PUT", path.format(base=device.path)), 404, 404000)


@pytest.mark.parametrize(
    ("method", "end"),
    [("GET", "register"), ("POST", "register"), ("DELETE", "register"), ("PUT", "operations/5.x")],
)
def test_unsupported_method(device, method, end):
    refused(device(method, f"{device.path}/{end}"), 405, 405000)


@pytest.mark.parametrize("version", [None, "", "2017-11-15", "2021-06-1"])
def test_api_version_that_is_not_supported(device, version):
    refused(device.register(version=version), 400, 400004)
    refused(device("GET", f"{device.path}/operations/5.x", version=version), 400, 400004)


def test_wrong_id_scope(device):
    other = f"0ne00000000/registrations/{device.name}"
    refused(device("PUT", f"{other}/register"), 401, 401002)
    refused(device("GET", f"{other}/operations/5.x"), 401, 401002)


def test_cause_of_a_refusal_is_in_the_log_and_never_in_the_answer(simulator, device):
    path = f"0ne00000000/registrations/{device.name}/register"
    answer = device("PUT", path)
    refused(answer, 401, 401002)
    (request,) = simulator.requests(path)
    cause = f"the request is for scope '0ne00000000', this DPS is '{simulator.id_scope}'"
    assert request["error"] == f"401002 Unauthorized ({cause})"
    assert log_lines(simulator, cause)
    assert simulator.id_scope not in answer.text + str(answer.headers)
    key = device.folder / "key.pem"
    answer = device.register(cert=(device.folder / "cert.pem", key))
    assert answer.json()["message"] == "CA certificate not found"
    *_, request = simulator.requests(f"{device.path}/register")
    assert "whose issuer CN=microdps test intermediate is not in it" in request["error"]


@pytest.mark.parametrize(
    "body", [b"{", b"hello", b"\xff", b"[]", b"7", b'"x"', b"null", b"[" * 100_000]
)
def test_body_that_is_not_a_json_object(device, body):
    refused(device.register(data=body), 400, 400004)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_content_type_that_is_not_json(device, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = device("PUT", f"{device.path}/register", data=b"{}", headers=headers)
    refused(answer, 415, 415000)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "text/json"]
)
def test_content_type_that_is_json(device, kind):
    assert device.register(data=b"{}", headers={"Content-Type": kind}).status_code == 202


def test_tpm_is_refused_because_it_is_not_simulated(device):
    answer = device.register(json={"tpm": {"endorsementKey": "AAAA"}})
    refused(answer, 400, 400004)
    assert "not simulated" in answer.json()["message"]


def test_csr_is_refused_because_issuing_is_not_simulated(device):
    device.register()
    for answer in (
        device.register(json={"registrationId": device.name, "csr": "AAAA"}),
        device("POST", device.path, json={"csr": "AAAA"}),
    ):
        refused(answer, 400, 400004)
        assert "not simulated" in answer.json()["message"]


def test_path_in_another_case(device):
    path = f"{device.simulator.id_scope}/Registrations/{device.name}/Register"
    assert device("PUT", path).status_code == 202


def test_names_of_headers_are_spelled_as_the_service_spells_them(device):
    names = set(device.register().headers)
    assert {"x-ms-request-id", "Retry-After", "Location", "Content-Type"} <= names
    assert "x-ms-error-code" in set(device.register(cert=None).headers)


def test_state_of_a_groups_device(device):
    operation = device.register().json()["operationId"]
    state = device("GET", f"{device.path}/operations/{operation}").json()["registrationState"]
    assert state["x509"] == {"enrollmentGroupId": "group-01"}
    assert state["createdDateTimeUtc"] < state["lastUpdatedDateTimeUtc"]


@pytest.mark.parametrize("given", ["somebody-else", "", 7, None, {}])
def test_registration_id_that_differs_from_the_path(device, given):
    refused(device.register(json={"registrationId": given}), 400, 400004)


def test_registration_id_in_another_case(device):
    assert device.register(json={"registrationId": device.name.upper()}).status_code == 202


@pytest.mark.parametrize("operation", ["5.0000000000000000.unknown", ""])
def test_unknown_operation(device, operation):
    device.register()
    refused(device("GET", f"{device.path}/operations/{operation}"), 404, 404201)


def test_operation_of_a_device_that_never_registered(device):
    refused(device("GET", f"{device.path}/operations/5.x"), 404, 404201)


def test_operation_of_another_device(simulator, device):
    other = Caller(simulator, f"{device.name}1")
    operation = other.register().json()["operationId"]
    device.register()
    refused(device("GET", f"{device.path}/operations/{operation}"), 404, 404201)
    refused(device("GET", f"{other.path}/operations/{operation}"), 401, 401002)


def test_no_client_certificate(device):
    operation = device.register().json()["operationId"]
    refused(device.register(cert=None), 401, 401002)
    refused(device("GET", f"{device.path}/operations/{operation}", cert=None), 401, 401002)


def test_certificate_of_another_device(simulator, device):
    other = Caller(simulator, f"{device.name}1")
    refused(other("PUT", f"{device.path}/register"), 401, 401002)


def test_body_over_256_kb(device):
    refused(device.register(data=b" " * (256 * 1024 + 1)), 413, 413001)
    body = b'{"payload": "' + b"x" * (256 * 1024 - 15) + b'"}'
    assert len(body) == 256 * 1024
    assert device.register(data=body).status_code == 202


def test_disabled_individual_is_answered_with_200(device, rest):
    put(rest, "enrollments", device.name, pem_of(device), provisioningStatus="disabled")
    answer = device.register()
    assert answer.status_code == 200
    body = answer.json()
    operation = body["operationId"]
    assert operation  # the schema forbids an empty one
    assert body == {
        "operationId": operation,
        "status": "disabled",
        "registrationState": {"registrationId": device.name, "status": "disabled"},
    }
    again = device("GET", f"{device.path}/operations/{operation}")
    assert (again.status_code, again.json()) == (200, body)
    put(rest, "enrollments", device.name, pem_of(device), provisioningStatus="enabled")
    assert device.register().status_code == 202


def test_device_id_of_an_individual_enrollment(device, rest):
    put(rest, "enrollments", device.name, pem_of(device), deviceId="thermometer-7")
    operation = device.register().json()["operationId"]
    state = device("GET", f"{device.path}/operations/{operation}").json()["registrationState"]
    assert (state["deviceId"], state["registrationId"]) == ("thermometer-7", device.name)


def test_second_registration_keeps_the_creation_time(device):
    states = []
    for _ in range(2):
        operation = device.register().json()["operationId"]
        answer = device("GET", f"{device.path}/operations/{operation}")
        states.append(answer.json()["registrationState"])
    assert states[0]["createdDateTimeUtc"] == states[1]["createdDateTimeUtc"]
    assert states[0]["lastUpdatedDateTimeUtc"] < states[1]["lastUpdatedDateTimeUtc"]


def test_tls_1_2_with_a_cipher_of_iot_hubs_list(simulator):
    def openssl(option):
        host, port = simulator.dps.split(":")
        return subprocess.run(
            ["openssl", "s_client", "-brief", "-CAfile", simulator.root, "-verify_return_error"]
            + ["-servername", host, "-connect", f"{host}:{port}", option],
            input="",
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    done = openssl("-tls1_2")
    assert done.returncode == 0
    assert "Ciphersuite: ECDHE-ECDSA-AES" in done.stderr
    assert openssl("-tls1_3").returncode != 0
