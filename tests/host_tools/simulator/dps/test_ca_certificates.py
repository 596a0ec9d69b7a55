"""CA certificates, with Microsoft's own management client, and the devices below them."""

import re
import uuid

import pytest

from helpers.by_hand import Device
from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.enroll import sas
from microdps_tools.simulator.dps.authorization import KEY_NAME

GROUP = ("resources", "dps")  # resource group and DPS instance; the simulator accepts any


class Token:
    """A credential whose token is the key of the simulator's service API."""

    def __init__(self, key):
        self.key = key

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        return AccessToken(self.key, 2**31)


def client(simulator, key):
    from azure.mgmt.iothubprovisioningservices import IotDpsClient

    return IotDpsClient(
        Token(key),
        str(uuid.uuid4()),
        base_url=f"https://{simulator.dps}",
        connection_verify=str(simulator.root),
        retry_total=0,
    )


@pytest.fixture
def arm(simulator):
    with client(simulator, simulator.service._key) as made:
        yield made.dps_certificate


@pytest.fixture
def ca():
    return issue("uploaded CA", ca=True)


@pytest.fixture
def name():
    return f"ca-{uuid.uuid4()}"


def upload(arm, name, ca, verified=None, **given):
    from azure.mgmt.iothubprovisioningservices.models import (
        CertificateProperties,
        CertificateResponse,
    )

    properties = CertificateProperties(certificate=encoding.pem(ca.cert), is_verified=verified)
    where = {"resource_group_name": GROUP[0], "provisioning_service_name": GROUP[1]}
    body = CertificateResponse(properties=properties)
    return arm.create_or_update(
        certificate_name=name, certificate_description=body, **where, **given
    )


def where(name) -> dict:
    return {
        "certificate_name": name,
        "resource_group_name": GROUP[0],
        "provisioning_service_name": GROUP[1],
    }


def etag_of(kept) -> dict:
    from azure.core import MatchConditions

    return {"etag": kept.etag, "match_condition": MatchConditions.IfNotModified}


def test_create_get_list_delete(arm, name, ca):
    from azure.core.exceptions import ResourceNotFoundError

    made = upload(arm, name, ca)
    assert made.name == name
    assert made.properties.subject == "uploaded CA"
    assert made.properties.is_verified is False
    assert re.fullmatch("[0-9A-F]{40}", made.properties.thumbprint)
    got = arm.get(**where(name))
    assert got.etag == made.etag
    assert got.properties.expiry == ca.cert.not_valid_after_utc
    listed = arm.list(resource_group_name=GROUP[0], provisioning_service_name=GROUP[1])
    assert name in {one.name for one in listed.value}
    arm.delete(**where(name), **etag_of(made))
    with pytest.raises(ResourceNotFoundError):
        arm.get(**where(name))


def test_old_etag_is_refused(arm, name, ca):
    from azure.core.exceptions import HttpResponseError

    old = upload(arm, name, ca)
    new = upload(arm, name, ca, **etag_of(old))
    for call in (
        lambda: upload(arm, name, ca, **etag_of(old)),
        lambda: arm.delete(**where(name), **etag_of(old)),
        lambda: arm.generate_verification_code(**where(name), **etag_of(old)),
    ):
        with pytest.raises(HttpResponseError) as caught:
            call()
        assert caught.value.status_code == 412
    assert arm.get(**where(name)).etag == new.etag


def prove(arm, name, kept, issuer, code=None):
    """Prove possession → the certificate, as DPS keeps it. code: instead of the right one."""
    from azure.mgmt.iothubprovisioningservices.models import VerificationCodeRequest

    asked = arm.generate_verification_code(**where(name), **etag_of(kept))
    proof = issue(code or asked.properties.verification_code, issuer)
    request = VerificationCodeRequest(certificate=encoding.pem(proof.cert).decode())
    return arm.verify_certificate(**where(name), **etag_of(asked), request=request)


@pytest.fixture
def member(simulator, request, name, ca):
    """A device below the CA."""
    registration_id = f"member-{uuid.uuid4()}"
    pair = issue(registration_id, ca)
    simulator.write_identity(registration_id, pair, [ca.cert])
    return Device(simulator, registration_id, simulator.folder / "devices" / registration_id)


def refer(simulator, name) -> None:
    """Make an enrollment group that refers to an uploaded CA certificate."""
    references = {"caReferences": {"primary": name}}
    record = {
        "enrollmentGroupId": f"group-of-{name}",
        "attestation": {"type": "x509", "x509": references},
    }
    simulator.service.put("enrollmentGroups", f"group-of-{name}", record)


def test_devices_are_accepted_after_a_proof_of_possession(simulator, arm, name, ca, member):
    kept = upload(arm, name, ca)
    refer(simulator, name)
    assert member.register().status_code == 401
    assert prove(arm, name, kept, ca).properties.is_verified is True
    assert member.register().status_code == 202


def test_devices_are_accepted_if_the_uploader_says_verified(simulator, arm, name, ca, member):
    upload(arm, name, ca, verified=True)
    refer(simulator, name)
    assert member.provision()["status"] == "assigned"
    assert member.send().status_code == 204


def test_verified_ca_without_a_group_accepts_no_device(arm, name, ca, member):
    upload(arm, name, ca, verified=True)
    answer = member.register()
    assert (answer.status_code, answer.json()["message"]) == (401, "CA certificate not found")


@pytest.mark.parametrize("wrong", ["another CA", "another code"])
def test_wrong_proof(simulator, arm, name, ca, member, wrong):
    from azure.core.exceptions import HttpResponseError

    kept = upload(arm, name, ca)
    refer(simulator, name)
    issuer = issue("uploaded CA", ca=True) if wrong == "another CA" else ca
    with pytest.raises(HttpResponseError, match="does not prove possession"):
        prove(arm, name, kept, issuer, "0" * 48 if wrong == "another code" else None)
    assert arm.get(**where(name)).properties.is_verified is False
    assert member.register().status_code == 401


def test_certificate_of_a_group_is_not_deleted(simulator, arm, name, ca):
    from azure.core.exceptions import HttpResponseError

    kept = upload(arm, name, ca, verified=True)
    refer(simulator, name)
    with pytest.raises(HttpResponseError, match="refers to the certificate"):
        arm.delete(**where(name), **etag_of(kept))
    assert arm.get(**where(name)).etag == kept.etag


def test_group_that_refers_to_a_missing_ca(simulator):
    from microdps_tools import ToolError

    with pytest.raises(ToolError, match="There is no CA certificate"):
        refer(simulator, f"nothing-{uuid.uuid4()}")


def test_certificate_that_is_not_a_ca_is_refused(arm, name, ca):
    from azure.core.exceptions import HttpResponseError

    with pytest.raises(HttpResponseError, match="is not a CA's"):
        upload(arm, name, issue("leaf", ca))


@pytest.mark.parametrize("key", ["", "c2VjcmV0"])
def test_wrong_token_changes_nothing(simulator, arm, name, ca, key):
    from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError

    with client(simulator, key) as stranger:
        for call in (
            lambda: upload(stranger.dps_certificate, name, ca),
            lambda: stranger.dps_certificate.get(**where(name)),
        ):
            with pytest.raises(ClientAuthenticationError):
                call()
    with pytest.raises(ResourceNotFoundError):
        arm.get(**where(name))


def test_signature_of_the_service_api_is_not_a_token(simulator):
    import requests

    path = "subscriptions/s/resourceGroups/r/providers/Microsoft.Devices/provisioningServices/d"
    answer = requests.get(
        f"https://{simulator.dps}/{path}/certificates?api-version=2022-12-12",
        headers={"Authorization": sas.token(simulator.dps, KEY_NAME, simulator.service._key)},
        verify=str(simulator.root),
        timeout=20,
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "401000"
