"""Attestation: which certificate chains are accepted, with a real store and certificates."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from helpers.chains import FUTURE, INVALID, NAME, NOT_FOUND, PAST, accepted, chain, refused
from microdps_tools.certs.making import issue

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH


def test_group_accepts_a_leaf_of_its_intermediate(group):
    leaf = issue(NAME, group.intermediate)
    accepted(group, chain(leaf, group.intermediate), "group", "g")


def test_group_accepts_a_chain_with_its_root(group):
    leaf = issue(NAME, group.intermediate)
    accepted(group, chain(leaf, group.intermediate, group.root), "group", "g")


def test_group_of_the_root_accepts_the_whole_chain(group_of_root):
    world = group_of_root
    leaf = issue(NAME, world.intermediate)
    accepted(world, chain(leaf, world.intermediate, world.root), "group", "r")


def test_group_of_the_root_needs_the_root_in_the_chain(group_of_root):
    world = group_of_root
    refused(world, chain(issue(NAME, world.intermediate), world.intermediate), NOT_FOUND)


def test_group_of_the_root_needs_the_intermediate_in_between(group_of_root):
    world = group_of_root
    refused(world, chain(issue(NAME, world.intermediate), world.root), INVALID)


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_individual_accepts_its_own_certificate(world, key_type):
    leaf = issue(NAME, key_type=key_type)
    world.enroll("individual", NAME, leaf)
    accepted(world, chain(leaf), "individual", NAME)


def test_individual_accepts_its_own_certificate_of_any_issuer(world):
    leaf = issue(NAME, world.intermediate)
    world.enroll("individual", NAME, leaf)
    world.upload(world.root)
    accepted(world, chain(leaf), "individual", NAME)
    refused(world, chain(leaf, world.intermediate), NOT_FOUND)
    accepted(world, chain(leaf, world.intermediate, world.root), "individual", NAME)
    world.upload(world.intermediate)
    accepted(world, chain(leaf, world.intermediate), "individual", NAME)


def test_root_that_an_individual_sends_must_be_verified_too(world):
    leaf = issue(NAME, world.root)
    world.enroll("individual", NAME, leaf)
    refused(world, chain(leaf, world.root), NOT_FOUND)
    world.upload(world.root)
    accepted(world, chain(leaf, world.root), "individual", NAME)


def test_no_certificate(group):
    refused(group, [], "Unauthorized")


def test_leaf_without_its_issuer(group):
    refused(group, chain(issue(NAME, group.intermediate)), NOT_FOUND)


def test_chain_of_strangers(group):
    other = issue("intermediate", ca=True)
    refused(group, chain(issue(NAME, other), other), NOT_FOUND)


def test_individual_of_the_same_name_and_another_key(world):
    world.enroll("individual", NAME, issue(NAME))
    refused(world, chain(issue(NAME)), NOT_FOUND)


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_forged_signature_with_the_right_names(group, key_type):
    false = issue("intermediate", ca=True, key_type=key_type)
    leaf = issue(NAME, false)
    refused(group, chain(leaf, group.intermediate), INVALID)
    refused(group, chain(leaf, false, group.intermediate), INVALID)


def test_forged_signature_above_the_leaf(group_of_root):
    world = group_of_root
    false = issue("intermediate", issue("root", ca=True), ca=True)
    refused(world, chain(issue(NAME, false), false, world.root), INVALID)


def test_issuer_that_is_not_a_ca(world):
    issuer = issue("intermediate", world.root)
    world.upload(issuer)
    world.enroll("group", "g", issuer)
    refused(world, chain(issue(NAME, issuer), issuer), INVALID)


@pytest.mark.parametrize("start", [PAST, FUTURE], ids=["expired", "not yet valid"])
def test_issuer_outside_its_validity(world, start):
    issuer = issue("intermediate", world.root, ca=True, start=start, days=30)
    world.upload(issuer)
    world.enroll("group", "g", issuer)
    refused(world, chain(issue(NAME, issuer), issuer), INVALID)


def test_expired_issuer_above_the_verified_one_does_not_matter(world):
    root = issue("root", ca=True, start=PAST, days=30)
    issuer = issue("intermediate", root, ca=True)
    world.enroll("group", "g", issuer)
    world.upload(root)
    refused(world, chain(issue(NAME, issuer), issuer, root), INVALID)
    world.upload(issuer)
    accepted(world, chain(issue(NAME, issuer), issuer, root), "group", "g")


@pytest.mark.parametrize("start", [PAST, FUTURE], ids=["expired", "not yet valid"])
def test_leaf_outside_its_validity(group, start):
    leaf = issue(NAME, group.intermediate, start=start, days=30)
    refused(group, chain(leaf, group.intermediate), INVALID)
    group.enroll("individual", NAME, leaf)
    refused(group, chain(leaf), INVALID)


def test_leaf_for_servers_only(group):
    leaf = issue(NAME, group.intermediate, usage=SERVER_AUTH)
    refused(group, chain(leaf, group.intermediate), INVALID)
    group.enroll("individual", NAME, leaf)
    refused(group, chain(leaf), INVALID)


def test_leaf_without_an_extended_usage(group):
    leaf = issue(NAME, group.intermediate, ca=True)  # CA certificates of issue() have none
    with pytest.raises(x509.ExtensionNotFound):
        leaf.cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    accepted(group, chain(leaf, group.intermediate), "group", "g")


@pytest.mark.parametrize("name", ["device-02", "device-0", "device-011"])
def test_common_name_that_differs_from_the_registration_id(group, name):
    leaf = issue(name, group.intermediate)
    refused(group, chain(leaf, group.intermediate), INVALID)
    group.enroll("individual", NAME, leaf)
    refused(group, chain(leaf), INVALID)


def test_common_name_in_another_case(group):
    leaf = issue("Device-01", group.intermediate)
    accepted(group, chain(leaf, group.intermediate), "group", "g", "dEVICE-01")
    group.enroll("individual", NAME, leaf)
    accepted(group, chain(leaf), "individual", NAME, "DEVICE-01")


def test_individual_overrides_the_group(group):
    leaf = issue(NAME, group.intermediate)
    group.enroll("individual", NAME, leaf)
    accepted(group, chain(leaf, group.intermediate), "individual", NAME)


def test_lower_group_overrides_the_upper_one(group):
    group.enroll("group", "r", group.root)
    leaf = issue(NAME, group.intermediate)
    accepted(group, chain(leaf, group.intermediate, group.root), "group", "g")


def test_certificate_of_another_individual(group):
    """The first enrollment found decides, so the group does not accept it either."""
    leaf = issue(NAME, group.intermediate)
    group.enroll("individual", "device-02", leaf)
    refused(group, chain(leaf), INVALID)
    refused(group, chain(leaf, group.intermediate), INVALID)


def test_certificate_of_a_group_as_a_leaf(world):
    leaf = issue(NAME, world.root, ca=True)
    world.enroll("group", "g", leaf)
    refused(world, chain(leaf), NOT_FOUND)


def test_certificate_of_an_individual_as_an_issuer(world):
    issuer = issue("intermediate", ca=True)
    world.enroll("individual", NAME, issuer)
    refused(world, chain(issue(NAME, issuer), issuer), NOT_FOUND)


def test_certificate_that_its_enrollment_has_replaced(world):
    leaf = issue(NAME)
    world.enroll("individual", NAME, leaf)
    world.enroll("individual", NAME, issue(NAME))
    refused(world, chain(leaf), NOT_FOUND)
