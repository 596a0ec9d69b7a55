"""The simulated DPS over real HTTPS: device API, and enrollments of the service API."""

import base64
import re
import ssl
import subprocess
import time
import urllib.parse

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll import sas
from microdps_tools.enroll.enrollment import enroll_group
from microdps_tools.files import write_files
from microdps_tools.simulator.dps.device_api import VERSIONS

API = "2021-06-01"
TIMEOUT_S = 20
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KINDS = {"enrollments": "registrationId", "enrollmentGroups": "enrollmentGroupId"}
CERTS_KEY = {"enrollments": "clientCertificates", "enrollmentGroups": "signingCertificates"}


class Caller:
    """A device of the simulator's group, by hand: requests of its own to DPS."""

    def __init__(self, simulator, name):
        self.simulator = simulator
        self.name = name
        self.folder = simulator.device(name).parent.parent

    def __call__(self, method, path, version: str | None = API, **given) -> requests.Response:
        """Ask with the device's certificate; given: what requests.request takes."""
        given.setdefault("cert", (self.folder / "full-chain.pem", self.folder / "key.pem"))
        return requests.request(
            method,
            f"https://{self.simulator.dps}/{path}",
            params={"api-version": version} if version else None,
            verify=str(self.simulator.root),
            timeout=TIMEOUT_S,
            **given,
        )

    @property
    def path(self) -> str:
        return f"{self.simulator.id_scope}/registrations/{self.name}"

    def register(self, **given) -> requests.Response:
        return self("PUT", f"{self.path}/register", **given)


@pytest.fixture
def name(request):
    """A registration ID for each test."""
    return f"dps-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())[-50:]}-0"


@pytest.fixture
def device(simulator, name):
    return Caller(simulator, name)


def refused(answer, status: int, code: int) -> None:
    """An error answer as the REST reference has it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["errorCode", "trackingId", "message", "timestampUtc"]
    assert body["errorCode"] == code
    assert UUID.fullmatch(body["trackingId"])
    assert answer.headers["x-ms-request-id"] == body["trackingId"]
    assert answer.headers["x-ms-error-code"] == str(code)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert body["message"]


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
def test_wrong_method(device, method, end):
    refused(device(method, f"{device.path}/{end}"), 405, 405000)


@pytest.mark.parametrize("version", [None, "", "2017-11-15", "2021-06-1"])
def test_api_version_that_is_not_supported(device, version):
    refused(device.register(version=version), 400, 400004)
    refused(device("GET", f"{device.path}/operations/5.x", version=version), 400, 400004)


def test_wrong_id_scope(device):
    other = f"0ne00000000/registrations/{device.name}"
    refused(device("PUT", f"{other}/register"), 401, 401002)
    refused(device("GET", f"{other}/operations/5.x"), 401, 401002)


@pytest.mark.parametrize(
    "body", [b"{", b"hello", b"\xff", b"[]", b"7", b'"x"', b"null", b"[" * 100_000]
)
def test_body_that_is_no_json_object(device, body):
    refused(device.register(data=body), 400, 400004)


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
    put(rest, "enrollments", device.name, pem(device), provisioningStatus="disabled")
    answer = device.register()
    assert answer.status_code == 200
    assert answer.json() == {
        "operationId": "",
        "status": "disabled",
        "registrationState": {"registrationId": device.name, "status": "disabled"},
    }
    refused(device("GET", f"{device.path}/operations/"), 404, 404201)
    put(rest, "enrollments", device.name, pem(device), provisioningStatus="enabled")
    assert device.register().status_code == 202


def test_device_id_of_an_individual_enrollment(device, rest):
    put(rest, "enrollments", device.name, pem(device), deviceId="thermometer-7")
    operation = device.register().json()["operationId"]
    state = device("GET", f"{device.path}/operations/{operation}").json()["registrationState"]
    assert (state["deviceId"], state["registrationId"]) == ("thermometer-7", device.name)


def test_second_registration_keeps_the_day_of_the_first(device):
    states = []
    for _ in range(2):
        operation = device.register().json()["operationId"]
        answer = device("GET", f"{device.path}/operations/{operation}")
        states.append(answer.json()["registrationState"])
    assert states[0]["createdDateTimeUtc"] == states[1]["createdDateTimeUtc"]
    assert states[0]["lastUpdatedDateTimeUtc"] < states[1]["lastUpdatedDateTimeUtc"]


def test_tls_is_1_2_with_a_cipher_of_iot_hubs_list(simulator):
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


# The service API.


def pem(device) -> str:
    return (device.folder / "cert.pem").read_text()


def record(kind: str, name: str, certificate: str, **fields) -> dict:
    return {
        KINDS[kind]: name,
        "attestation": {
            "type": "x509",
            "x509": {CERTS_KEY[kind]: {"primary": {"certificate": certificate}}},
        },
        **fields,
    }


def put(rest, kind: str, name: str, certificate: str, **fields) -> dict:
    """Enroll, whatever is there → the answer's body."""
    answer = rest("PUT", f"{kind}/{name}", record(kind, name, certificate, **fields), headers=ANY)
    assert answer.status_code == 200, answer.text
    return answer.json()


ANY = {"If-Match": "*"}


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def new():
    """A certificate of its own for each test, as PEM."""
    return encoding.pem(issue("enrolled", ca=True).cert).decode()


def test_enrollment_is_kept_as_it_was_given(rest, kind, name, new):
    given = record(kind, name, new, capabilities={"iotEdge": False})
    answer = rest("PUT", f"{kind}/{name}", given)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    kept = answer.json()
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert kept["createdDateTimeUtc"] == kept["lastUpdatedDateTimeUtc"]
    added = {"provisioningStatus", "etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"}
    added |= {"allocationPolicy", "reprovisionPolicy"}
    assert {key: kept[key] for key in kept.keys() - added - {"attestation"}} == {
        key: given[key] for key in given.keys() - {"attestation"}
    }
    ((key, pair),) = kept["attestation"]["x509"].items()
    info = pair["primary"].pop("info")
    assert kept["attestation"] == given["attestation"]
    cert = x509.load_pem_x509_certificate(pair["primary"]["certificate"].encode())
    assert info["sha1Thumbprint"] == cert.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303
    assert info["notAfterUtc"] == cert.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert kept["provisioningStatus"] == "enabled"


def test_enrollment_in_another_case_is_the_same(rest, kind, name, new):
    kept = put(rest, kind, name, new)
    assert rest("GET", f"{kind}/{name.upper()}").json() == kept
    again = put(rest, kind, name.upper(), new)
    assert again["createdDateTimeUtc"] == kept["createdDateTimeUtc"]
    assert rest("GET", f"{kind}/{name}").json() == again


def test_enrollment_that_is_not_there(rest, kind, name):
    refused(rest("GET", f"{kind}/{name}"), 404, 404201)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_method_that_the_service_api_has_not(rest, kind, name, new, method):
    kept = put(rest, kind, name, new)
    refused(rest(method, f"{kind}/{name}", {}), 405, 405000)
    assert rest("GET", f"{kind}/{name}").json() == kept


def test_deleted_enrollment_is_gone_and_its_certificate_is_free(rest, kind, name, new):
    kept = put(rest, kind, name, new)
    refused(rest("DELETE", f"{kind}/{name}", headers={"If-Match": '"stale"'}), 412, 412001)
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert rest("DELETE", f"{kind}/{name}", headers={"If-Match": kept["etag"]}).status_code == 204
    refused(rest("GET", f"{kind}/{name}"), 404, 404201)
    refused(rest("DELETE", f"{kind}/{name}"), 404, 404201)
    put(rest, kind, name, new)


@pytest.mark.parametrize("version", ["", "2017-11-15", "2021-06-01"])
def test_version_that_the_service_api_has_not(rest, kind, name, version):
    refused(rest("GET", f"{kind}/{name}", version=version), 400, 400004)


def without_expiry(rest) -> str:
    """Rightly signed, but for ever."""
    fields = dict(urllib.parse.parse_qsl(rest.token().partition(" ")[2]))
    fields |= {"se": "", "sig": sas.signature(fields["sr"], "", rest.key)}
    return f"{sas.SCHEME} {urllib.parse.urlencode(fields)}"


BAD_SIGNATURES = {
    "wrong key": lambda rest: rest.token(key=base64.b64encode(b"w" * 32).decode()),
    "expired": lambda rest: rest.token(lifetime_s=-1),
    "extended": lambda rest: re.sub(
        r"se=\d+", f"se={int(time.time()) + 600}", rest.token(lifetime_s=-1)
    ),
    "of another policy": lambda rest: rest.token(key_name="registration"),
    "for another host": lambda rest: rest.token(host="localhost:1"),
    "of another scheme": lambda rest: rest.token().replace(sas.SCHEME, "Bearer"),
    "empty": lambda rest: "",
    "scheme alone": lambda rest: sas.SCHEME,
    "no signature": lambda rest: re.sub(r"sig=[^&]+", "", rest.token()),
    "signature that is no ASCII": lambda rest: re.sub(r"sig=[^&]+", "sig=%C3%A9", rest.token()),
    "no expiry": without_expiry,
}


@pytest.mark.parametrize("bad", BAD_SIGNATURES)
def test_signature_that_is_not_valid_changes_nothing(rest, kind, name, new, bad):
    kept = put(rest, kind, name, new)
    headers = {"Authorization": BAD_SIGNATURES[bad](rest)} | ANY
    changed = record(kind, name, new, provisioningStatus="disabled")
    refused(rest("PUT", f"{kind}/{name}", changed, headers=headers), 401, 401002)
    refused(rest("GET", f"{kind}/{name}", headers=headers), 401, 401002)
    fresh = rest("PUT", f"{kind}/{name}-new", record(kind, f"{name}-new", new), headers=headers)
    refused(fresh, 401, 401002)
    assert rest("GET", f"{kind}/{name}").json() == kept
    assert rest("GET", f"{kind}/{name}-new").status_code == 404


def test_no_signature_at_all(device, name):
    for kind in KINDS:
        refused(device("GET", f"{kind}/{name}", version="2021-10-01", cert=None), 401, 401002)
        refused(device("GET", f"{kind}/{name}", version="2021-10-01"), 401, 401002)


def test_certificate_as_pem_base64_of_der_and_base64_of_pem(device, rest):
    der = ssl.PEM_cert_to_DER_cert(pem(device))
    for certificate in (
        pem(device),
        base64.b64encode(der).decode(),
        base64.b64encode(pem(device).encode()).decode(),
    ):
        kept = put(rest, "enrollments", device.name, certificate, deviceId=f"d{len(certificate)}")
        operation = device.register().json()["operationId"]
        state = device("GET", f"{device.path}/operations/{operation}").json()
        assert state["registrationState"]["deviceId"] == kept["deviceId"]


def test_secondary_certificate_counts_as_well(simulator, device, rest):
    other = Caller(simulator, f"{device.name}1")
    given = record("enrollments", device.name, pem(other), deviceId="by-secondary")
    certificates = given["attestation"]["x509"]["clientCertificates"]
    certificates["secondary"] = {"certificate": pem(device)}
    assert rest("PUT", f"enrollments/{device.name}", given).status_code == 200
    operation = device.register().json()["operationId"]
    state = device("GET", f"{device.path}/operations/{operation}").json()
    assert state["registrationState"]["deviceId"] == "by-secondary"


def test_primary_and_secondary_may_be_the_same(rest, kind, name, new):
    given = record(kind, name, new)
    pair = given["attestation"]["x509"][CERTS_KEY[kind]]
    pair["secondary"] = pair["primary"]
    assert rest("PUT", f"{kind}/{name}", given).status_code == 200


@pytest.mark.parametrize("other", list(KINDS))
def test_certificate_of_another_enrollment(rest, kind, other, name, new):
    put(rest, kind, name, new)
    answer = rest("PUT", f"{other}/{name}-2", record(other, f"{name}-2", new))
    refused(answer, 409, 409001)
    assert rest("GET", f"{other}/{name}-2").status_code == 404


def test_certificate_is_free_when_its_enrollment_has_another(rest, kind, name, new):
    put(rest, kind, name, new)
    put(rest, kind, name, encoding.pem(issue("other", ca=True).cert).decode())
    put(rest, kind, f"{name}-2", new)


@pytest.mark.parametrize(
    ("if_match", "status"),
    [(None, 412), ('"old"', 412), ("old", 412), ("*", 200), ("{etag}", 200), ('"{etag}"', 200)],
)
def test_if_match_of_an_enrollment_that_is_there(rest, kind, name, new, if_match, status):
    kept = put(rest, kind, name, new)
    headers = {"If-Match": if_match.format(etag=kept["etag"])} if if_match else {}
    changed = record(kind, name, new, provisioningStatus="disabled")
    answer = rest("PUT", f"{kind}/{name}", changed, headers=headers)
    if status == 200:
        assert answer.status_code == 200
        assert answer.json()["etag"] != kept["etag"]
        assert answer.json()["createdDateTimeUtc"] == kept["createdDateTimeUtc"]
        assert rest("GET", f"{kind}/{name}").json() == answer.json()
    else:
        refused(answer, 412, 412001)
        assert rest("GET", f"{kind}/{name}").json() == kept


def test_id_that_differs_from_the_path(rest, kind, name, new):
    refused(rest("PUT", f"{kind}/{name}", record(kind, f"{name}-2", new)), 400, 400004)
    without = record(kind, name, new)
    del without[KINDS[kind]]
    refused(rest("PUT", f"{kind}/{name}", without), 400, 400004)
    assert rest("GET", f"{kind}/{name}").status_code == 404


def attested(value) -> dict:
    """An attestation of x509 with this as the primary certificate."""
    pair = {"primary": {"certificate": value}}
    return {"type": "x509", "x509": {key: pair for key in CERTS_KEY.values()}}


@pytest.mark.parametrize(
    "attestation",
    [
        None,
        "x509",
        [],
        {"type": "tpm", "tpm": {"endorsementKey": "AAAA"}},
        {"type": "x509"},
        {"type": "x509", "x509": {}},
        {"type": "x509", "x509": {key: {} for key in CERTS_KEY.values()}},
        {"type": "x509", "x509": {key: [] for key in CERTS_KEY.values()}},
        attested(""),
        attested(7),
        attested(None),
        attested("AAAA"),
        attested("no base64"),
        attested("ä"),
        attested("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
)
def test_attestation_that_is_none(rest, kind, name, attestation):
    given = {KINDS[kind]: name, "attestation": attestation}
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)
    assert rest("GET", f"{kind}/{name}").status_code == 404


def test_attestation_of_another_type(rest, kind, name, new):
    given = record(kind, name, new)
    given["attestation"]["type"] = "symmetricKey"
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)


@pytest.mark.parametrize("status", ["", "Enabled", None, [], 1])
def test_provisioning_status_that_is_none(rest, kind, name, new, status):
    given = record(kind, name, new, provisioningStatus=status)
    refused(rest("PUT", f"{kind}/{name}", given), 400, 400004)


@pytest.mark.parametrize("device_id", [7, [], {}, True])
def test_device_id_that_is_no_text(rest, name, new, device_id):
    given = record("enrollments", name, new, deviceId=device_id)
    refused(rest("PUT", f"enrollments/{name}", given), 400, 400004)
    assert rest("GET", f"enrollments/{name}").status_code == 404


def test_enrollment_over_256_kb(rest, kind, name, new):
    given = record(kind, name, new, initialTwin={"tags": {"x": "x" * 256 * 1024}})
    refused(rest("PUT", f"{kind}/{name}", given), 413, 413001)


def test_disabled_group_refuses_its_devices(simulator, rest, name, tmp_path):
    pair = issue("another intermediate", ca=True)
    write_files(tmp_path, {"issuer.pem": encoding.pem(pair.cert)})
    enroll_group(simulator.service, name, tmp_path / "issuer.pem")
    device = Caller(simulator, name)
    simulator.write_identity(name, issue(name, pair), [pair.cert])
    assert device.register().status_code == 202
    put(
        rest,
        "enrollmentGroups",
        name,
        encoding.pem(pair.cert).decode(),
        provisioningStatus="disabled",
    )
    answer = device.register()
    assert (answer.status_code, answer.json()["status"]) == (200, "disabled")
