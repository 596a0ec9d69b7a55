"""Attestation: one certificate of a chain must be verified; and the causes of refusals."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from helpers.chains import INVALID, NAME, NOT_FOUND, NOW, PAST, accepted, chain, refused
from microdps_tools.certs.making import CertAndKey, issue


def test_group_without_a_verified_certificate(world):
    world.enroll("group", "g", world.intermediate)
    leaf = issue(NAME, world.intermediate)
    sent = chain(leaf, world.intermediate, world.root)
    assert "is verified" in refused(world, sent, NOT_FOUND)
    world.upload(world.root, verified=False)
    refused(world, sent, NOT_FOUND)
    world.upload(world.root)
    accepted(world, sent, "group", "g")


def test_verified_certificate_below_the_enrolled_one_does_not_count(world):
    world.enroll("group", "r", world.root)
    world.upload(world.intermediate)
    refused(
        world,
        chain(issue(NAME, world.intermediate), world.intermediate, world.root),
        NOT_FOUND,
    )


def test_verified_root_counts_only_if_the_device_sends_it(world):
    world.enroll("group", "g", world.intermediate)
    world.upload(world.root)
    sent = chain(issue(NAME, world.intermediate), world.intermediate)
    assert "CN=root is not in it" in refused(world, sent, NOT_FOUND)
    accepted(world, sent, "group", "g", stored_ca=True)
    accepted(world, [*sent, world.root.cert], "group", "g")


def test_stored_certificate_must_be_verified_and_must_have_signed_the_last_one(world):
    world.enroll("group", "g", world.intermediate)
    sent = chain(issue(NAME, world.intermediate), world.intermediate)
    world.upload(issue("root", ca=True))
    world.upload(world.root, verified=False)
    refused(world, sent, NOT_FOUND, stored_ca=True)


def test_verified_root_of_another_chain(world):
    """It is sent, and verified, and has not signed the intermediate."""
    other = issue("root", ca=True)
    world.enroll("group", "g", world.intermediate)
    world.upload(other)
    sent = chain(issue(NAME, world.intermediate), world.intermediate, other)
    refused(world, sent, INVALID)


def test_ca_certificate_without_basic_constraints(world):
    """Old CAs have such certificates. It is a CA's if it was uploaded, and not by itself."""
    old = issue_without_constraints("old CA")
    leaf = issue(NAME, old)
    world.enroll("group", "g", world.root)
    refused(world, chain(leaf, old), INVALID)
    world.upload(old)
    world.enroll("group", "old", old)
    accepted(world, chain(leaf, old), "group", "old")


def issue_without_constraints(name: str) -> CertAndKey:
    pair = issue(name, ca=True)
    builder = (
        x509.CertificateBuilder()
        .subject_name(pair.cert.subject)
        .issuer_name(pair.cert.subject)
        .public_key(pair.key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=30))
    )
    return CertAndKey(builder.sign(pair.key, hashes.SHA256()), pair.key)


def test_causes_name_the_values(group):
    leaf = issue("device-02", group.intermediate)
    cause = refused(group, chain(leaf, group.intermediate), INVALID)
    assert "'device-02'" in cause and "'device-01'" in cause
    cause = refused(group, chain(issue(NAME, group.intermediate)), NOT_FOUND)
    assert "whose issuer CN=intermediate is not in it" in cause
    other = issue("other", ca=True)
    cause = refused(group, chain(issue(NAME, other), group.intermediate), INVALID)
    assert "issuer CN=other" in cause and "CN=intermediate" in cause
    expired = issue(NAME, group.intermediate, start=PAST, days=30)
    cause = refused(group, chain(expired, group.intermediate), INVALID)
    assert f"{PAST:%Y-%m-%d}" in cause
