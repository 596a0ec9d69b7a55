"""Certificates, judged by openssl and by the device's own reader."""

import datetime
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from microdps.identity import Identity
from microdps_tools.certs import making as certs
from microdps_tools.device import config

KINDS = ("self-signed", "chain")
FILES = {"key.pem", "cert.pem", "full-chain.pem", "key.der", "cert.der"}
CA_FILES = {f"{ca}.{part}.pem" for ca in ("root", "intermediate") for part in ("cert", "key")}


def openssl(*arguments) -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def out(tmp_path):
    return tmp_path / "certs"


@pytest.fixture
def made(command, out):
    """The folder of certificates with a chain for device-01."""
    assert command("certs", "chain", "device-01", "--out", out).code == 0
    return out


def verify(out, name) -> None:
    openssl(
        "verify",
        *("-x509_strict", "-purpose", "sslclient"),
        *("-CAfile", out / "root.cert.pem", "-untrusted", out / "intermediate.cert.pem"),
        out / name / "cert.pem",
    )


def test_chain_is_accepted_by_openssl(made):
    verify(made, "device-01")


def test_self_signed_is_accepted_by_openssl(command, out):
    command("certs", "self-signed", "device-01", "--out", out)
    cert = out / "device-01" / "cert.pem"
    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", cert, cert)


@pytest.mark.parametrize("kind", KINDS)
def test_files_and_what_is_said_of_them(command, out, kind):
    done = command("certs", kind, "device-01", "--out", out)
    assert (done.code, done.err) == (0, "")
    folder = out / "device-01"
    assert {path.name for path in folder.iterdir()} == FILES
    cert = certs.load_certs(folder / "cert.pem")[0]
    assert done.out.splitlines() == [
        f"{folder}: certificate of device-01 until {cert.not_valid_after_utc:%Y-%m-%d}",
        f"  sha1 {cert.fingerprint(hashes.SHA1()).hex()}",  # noqa: S303  as Azure's portal
    ]
    others = {path.name for path in out.iterdir() if path.is_file()}
    assert others == (CA_FILES if kind == "chain" else set())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("key_type", "tool", "size"), [(None, "ec", "prime256v1"), ("rsa-2048", "rsa", "2048 bit")]
)
def test_key_types(command, out, kind, key_type, tool, size):
    choice = ["--key", key_type] if key_type else []
    assert command("certs", kind, "device-01", "--out", out, *choice).code == 0
    _check_key(out / "device-01", tool, size)
    if kind == "chain":
        verify(out, "device-01")


def test_rsa_4096(command, out):
    command("certs", "self-signed", "device-01", "--out", out, "--key", "rsa-4096")
    _check_key(out / "device-01", "rsa", "4096 bit")


def _check_key(folder, tool, size) -> None:
    """key.der is what openssl makes of key.pem: SEC1 or PKCS#1, and belongs to the certificate."""
    text = openssl(tool, "-inform", "DER", "-in", folder / "key.der", "-noout", "-text")
    assert size.encode() in text
    traditional = ["-traditional"] if tool == "rsa" else []
    same = openssl(tool, "-in", folder / "key.pem", *traditional, "-outform", "DER")
    assert (folder / "key.der").read_bytes() == same
    public = openssl("pkey", "-in", folder / "key.pem", "-pubout")
    assert openssl("x509", "-in", folder / "cert.pem", "-noout", "-pubkey") == public


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048"])
def test_device_accepts_its_chain_without_the_root(command, out, key_type):
    command("certs", "chain", "device-01", "--out", out, "--key", key_type)
    folder = out / "device-01"
    leaf = certs.load_certs(folder / "cert.pem")[0]
    intermediate = certs.load_certs(out / "intermediate.cert.pem")[0]
    assert certs.load_certs(folder / "full-chain.pem") == [leaf, intermediate]
    (folder / "roots.der").write_bytes(config.roots(str(out / "root.cert.pem")))
    chain = Identity.from_files(str(folder)).certs("cert")
    assert [x509.load_der_x509_certificate(bytes(cert)) for cert in chain] == [leaf, intermediate]


def test_self_signed_chain_is_the_leaf_alone(command, out):
    command("certs", "self-signed", "device-01", "--out", out)
    folder = out / "device-01"
    assert (folder / "full-chain.pem").read_bytes() == (folder / "cert.pem").read_bytes()
    der = openssl("x509", "-in", folder / "cert.pem", "-outform", "DER")
    assert (folder / "cert.der").read_bytes() == der


def test_private_keys_are_for_their_owner_only(made):
    keys = ["root.key.pem", "intermediate.key.pem", "device-01/key.pem", "device-01/key.der"]
    assert {(made / key).stat().st_mode & 0o777 for key in keys} == {0o600}


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_usages(command, out, kind):
    command("certs", kind, "device-01", "--out", out)
    cert = certs.load_certs(out / "device-01" / "cert.pem")[0]
    (name,) = cert.subject
    assert (name.oid, name.value) == (NameOID.COMMON_NAME, "device-01")
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_authorities_may_sign_and_have_no_extended_usage(made):
    for ca in ("root", "intermediate"):
        extensions = certs.load_certs(made / f"{ca}.cert.pem")[0].extensions
        assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        with pytest.raises(x509.ExtensionNotFound):
            extensions.get_extension_for_class(x509.ExtendedKeyUsage)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten_without_force(command, out, kind):
    command("certs", kind, "device-01", "--out", out)
    before = contents(out)
    refusal = command("certs", kind, "device-01", "--out", out).refusal
    assert "device-01" in refusal
    assert "--force" in refusal
    assert contents(out) == before


def test_chain_that_is_refused_makes_no_authorities(command, out):
    command("certs", "self-signed", "device-01", "--out", out)
    before = contents(out)
    assert "--force" in command("certs", "chain", "device-01", "--out", out).refusal
    assert contents(out) == before


def test_force_replaces_the_device_and_leaves_the_authorities(command, made):
    before = contents(made)
    assert command("certs", "chain", "device-01", "--out", made, "--force").code == 0
    after = contents(made)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"device-01/{name}" for name in FILES}
    assert (made / "device-01" / "key.der").stat().st_mode & 0o777 == 0o600
    verify(made, "device-01")


def test_second_device_has_the_same_issuer(command, made):
    before = contents(made)
    assert command("certs", "chain", "device-02", "--out", made).code == 0
    after = contents(made)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {f"device-02/{name}" for name in FILES}
    verify(made, "device-02")


@pytest.mark.parametrize("file", sorted(CA_FILES))
def test_authority_with_a_part_missing_is_refused(command, made, file):
    (made / file).unlink()
    before = contents(made)
    assert file in command("certs", "chain", "device-02", "--out", made).refusal
    assert contents(made) == before
    assert not (made / "device-02").exists()


@pytest.mark.parametrize("ca", ["root", "intermediate"])
def test_authority_with_the_key_of_another_is_refused(command, made, ca):
    other = "intermediate" if ca == "root" else "root"
    shutil.copy(made / f"{other}.key.pem", made / f"{ca}.key.pem")
    refusal = command("certs", "chain", "device-02", "--out", made).refusal
    assert f"{ca}.key.pem is not the key of" in refusal
    assert not (made / "device-02").exists()


def test_root_that_is_kept_elsewhere_is_not_missed(command, made):
    for file in ("root.cert.pem", "root.key.pem"):
        (made / file).unlink()
    assert command("certs", "chain", "device-02", "--out", made).code == 0
    assert not list(made.glob("root.*"))


def test_root_that_did_not_sign_the_intermediate_is_refused(command, made, tmp_path):
    assert command("certs", "chain", "device-01", "--out", tmp_path / "other").code == 0
    for file in ("root.cert.pem", "root.key.pem"):
        shutil.copy(tmp_path / "other" / file, made / file)
    refusal = command("certs", "chain", "device-02", "--out", made).refusal
    assert "was not signed by the root there" in refusal
    assert not (made / "device-02").exists()


def test_authority_whose_key_is_no_key_is_refused(command, made):
    (made / "root.key.pem").write_text("no key\n")
    assert "root.key.pem" in command("certs", "chain", "device-02", "--out", made).refusal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "../a", "ä", "a$", "device.", "device_", "device:", "d" * 65]
)
def test_registration_id_that_dps_forbids(command, out, kind, name):
    refusal = command("certs", kind, name, "--out", out).refusal
    assert repr(name) in refusal
    assert "registration ID" in refusal
    assert not out.exists()


def test_registration_id_of_every_kind_of_character(command, out):
    name = "Az09-._:" + "x" * 56
    assert command("certs", "self-signed", name, "--out", out).code == 0
    assert (out / name / "cert.pem").exists()


@pytest.mark.parametrize("days", ["0", "0.003", "-1", "3651", "nan", "inf", "many"])
def test_days_out_of_bounds(command, out, days):
    done = command("certs", "self-signed", "device-01", "--out", out, f"--days={days}")
    assert done.code == 2
    assert "--days" in done.err
    assert not out.exists()


@pytest.mark.parametrize("days", ["0.5", "3650"])
def test_days_within_bounds(command, out, days):
    assert command("certs", "self-signed", "device-01", "--out", out, "--days", days).code == 0
    cert = certs.load_certs(out / "device-01" / "cert.pem")[0]
    validity = cert.not_valid_after_utc - cert.not_valid_before_utc
    assert validity == datetime.timedelta(days=float(days))
    now = datetime.datetime.now(datetime.UTC)
    assert cert.not_valid_before_utc < now < cert.not_valid_after_utc


@pytest.mark.parametrize("kind", KINDS)
def test_file_in_the_folders_place(command, out, kind):
    out.write_text("mine")
    assert f"cannot write to {out}" in command("certs", kind, "device-01", "--out", out).refusal
    assert out.read_text() == "mine"


def test_file_that_cannot_be_replaced_leaves_nothing_half_done(command, made):
    """A folder lies where a file should go."""
    (made / "device-01" / "cert.pem").unlink()
    (made / "device-01" / "cert.pem").mkdir()
    refusal = command("certs", "chain", "device-01", "--out", made, "--force").refusal
    assert f"cannot write to {made / 'device-01'}" in refusal
    assert [path for path in made.rglob("*") if path.name.endswith(".new")] == []


def test_file_without_a_certificate_is_named(tmp_path):
    file = tmp_path / "cert.pem"
    for content in (
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----",
    ):
        file.write_bytes(content)
        with pytest.raises(certs.ToolError, match=str(file)):
            certs.load_certs(file)
