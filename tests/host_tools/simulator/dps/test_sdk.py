"""Microsoft's own client of the service API works with the simulator."""

import uuid

import pytest

from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue

# The SDK uses spellings of Python 2, which cause warnings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")


@pytest.fixture
def sdk(simulator, monkeypatch):
    """The SDK's client, and its models."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.root))
    from provisioningserviceclient import ProvisioningServiceClient

    text = (simulator.state / "connection-string.key.txt").read_text().strip()
    return ProvisioningServiceClient.create_from_connection_string(text)


def pem(name) -> str:
    return encoding.pem(issue(name, ca=True).cert).decode()


def individual(name):
    from provisioningserviceclient.models import AttestationMechanism, IndividualEnrollment

    mechanism = AttestationMechanism.create_with_x509_client_certs(pem(name))
    return IndividualEnrollment.create(name, mechanism)


def group(name):
    from provisioningserviceclient.models import AttestationMechanism, EnrollmentGroup

    mechanism = AttestationMechanism.create_with_x509_signing_certs(pem(name))
    return EnrollmentGroup.create(name, mechanism)


@pytest.mark.parametrize("make", [individual, group])
def test_create_get_update_delete(sdk, make):
    from provisioningserviceclient.client import ProvisioningServiceError

    name = f"sdk-{uuid.uuid4()}"
    get = sdk.get_individual_enrollment if make is individual else sdk.get_enrollment_group
    made = sdk.create_or_update(make(name))
    assert made.provisioning_status == "enabled" and made.etag
    stale = get(name)
    stale.provisioning_status = "disabled"
    changed = sdk.create_or_update(stale)
    assert changed.provisioning_status == "disabled" and changed.etag != made.etag
    with pytest.raises(ProvisioningServiceError, match="412"):  # with the old etag
        sdk.create_or_update(made)
    with pytest.raises(ProvisioningServiceError, match="412"):
        sdk.delete(made)
    assert get(name).provisioning_status == "disabled"
    sdk.delete(changed)
    with pytest.raises(ProvisioningServiceError, match="404"):
        get(name)


@pytest.mark.parametrize("make", [individual, group])
def test_query_in_pages(sdk, make):
    from provisioningserviceclient.models import QuerySpecification

    names = {f"sdk-{uuid.uuid4()}" for _ in range(5)}
    for name in names:
        sdk.create_or_update(make(name))
    create = (
        sdk.create_individual_enrollment_query
        if make is individual
        else sdk.create_enrollment_group_query
    )
    query = create(QuerySpecification("SELECT * FROM enrollments"), 2)
    found, pages = set(), 0
    for page in query:
        pages += 1
        assert 0 <= len(page) <= 2
        key = "registration_id" if make is individual else "enrollment_group_id"
        found |= {getattr(record, key) for record in page}
    assert names <= found
    assert pages >= 3


def test_wrong_key_is_refused_and_changes_nothing(sdk, simulator):
    from provisioningserviceclient import ProvisioningServiceClient
    from provisioningserviceclient.client import ProvisioningServiceError

    name = f"sdk-{uuid.uuid4()}"
    made = sdk.create_or_update(individual(name))
    wrong = ProvisioningServiceClient(simulator.dps, "provisioningserviceowner", "c2VjcmV0")
    for call in (
        lambda: wrong.create_or_update(individual(f"sdk-{uuid.uuid4()}")),
        lambda: wrong.delete(made),
        lambda: wrong.get_individual_enrollment(name),
    ):
        with pytest.raises(ProvisioningServiceError, match="401"):
            call()
    assert sdk.get_individual_enrollment(name).etag == made.etag
