"""Microsoft's management SDK, of any version: the instance, its keys, its CA certificates.

VERSION HOST KEY CA PROVE

CA     file with a CA certificate that is not uploaded yet
PROVE  command that takes a verification code and prints the proof of possession of the CA's key
"""

import os
import subprocess
import sys
import uuid

from azure.mgmt.iothubprovisioningservices import IotDpsClient, models

import steps

VERSION, HOST, KEY, CA, *PROVE = sys.argv[1:]
os.environ["REQUESTS_CA_BUNDLE"] = steps.ROOT
GENERATION = int(VERSION.split(".")[0])
NAME = f"ca-{uuid.uuid4()}"
GROUP, DPS = "my-group", "my-dps"
with open(CA) as file:
    TEXT = file.read()
WHERE = {"resource_group_name": GROUP, "provisioning_service_name": DPS}
kept: dict = {}


class Token:
    """The credential of the newer SDKs."""

    def get_token(self, *scopes, **options):
        from azure.core.credentials import AccessToken

        return AccessToken(KEY, 2**31)


def connect():
    base_url = f"https://{HOST}"
    if GENERATION == 0:
        from msrest.authentication import BasicTokenAuthentication

        token = BasicTokenAuthentication({"access_token": KEY})
        kept["client"] = IotDpsClient(token, str(uuid.uuid4()), base_url)
    else:
        kept["client"] = IotDpsClient(
            Token(), str(uuid.uuid4()), base_url=base_url, connection_verify=steps.ROOT
        )
    kept["certificates"] = kept["client"].dps_certificate


def upload_as_verified():
    """As `az iot dps certificate create --verified true` does; 0.2.0 cannot say "verified"."""
    made = upload(NAME, None if GENERATION == 0 else True)
    steps.check(bool(made.properties.is_verified) == (GENERATION > 0))
    kept["made"] = made


def upload(name, verified, **more):
    if GENERATION == 0:
        given = {"certificate": TEXT}
    elif VERSION.startswith("1.1."):
        given = {
            "certificate_description": models.CertificateBodyDescription(
                certificate=TEXT, is_verified=verified
            )
        }
    else:
        properties = models.CertificateProperties(certificate=TEXT.encode(), is_verified=verified)
        given = {"certificate_description": models.CertificateResponse(properties=properties)}
    return kept["certificates"].create_or_update(certificate_name=name, **WHERE, **given, **more)


def etag_of(made) -> dict:
    if GENERATION < 2:
        return {"if_match": made.etag}
    from azure.core import MatchConditions

    return {"etag": made.etag, "match_condition": MatchConditions.IfNotModified}


def get_and_list():
    found = kept["certificates"].get(certificate_name=NAME, **WHERE)
    steps.check(found.etag == kept["made"].etag)
    listed = kept["certificates"].list(**WHERE)
    steps.check(NAME in [one.name for one in listed.value])


def prove():
    made = upload(NAME, False, **etag_of(kept["made"]))
    where = {"certificate_name": NAME, **WHERE}
    asked = kept["certificates"].generate_verification_code(**where, **etag_of(made))
    code = asked.properties.verification_code
    proof = subprocess.run([*PROVE, code], capture_output=True, text=True, check=True).stdout
    given = (
        {"certificate": proof}
        if GENERATION == 0
        else {"request": models.VerificationCodeRequest(certificate=proof)}
    )
    kept["made"] = kept["certificates"].verify_certificate(**where, **etag_of(asked), **given)
    steps.check(kept["made"].properties.is_verified)


def instance():
    resources = kept["client"].iot_dps_resource
    found = resources.get(**WHERE)
    steps.check(found.properties.id_scope.startswith("0ne"))
    steps.check(list(resources.list_by_subscription()))
    steps.check(list(resources.list_by_resource_group(GROUP)))


def keys():
    resources = kept["client"].iot_dps_resource
    found = list(resources.list_keys(**WHERE))
    steps.check(found[0].primary_key == KEY)
    one = resources.list_keys_for_key_name(key_name=found[0].key_name, **WHERE)
    steps.check(one.primary_key == KEY)


def delete():
    kept["certificates"].delete(certificate_name=NAME, **WHERE, **etag_of(kept["made"]))


names = (connect, upload_as_verified, get_and_list, prove, instance, keys, delete)
steps.run((step.__name__, step) for step in names)
