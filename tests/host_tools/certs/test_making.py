"""New certificates, checked by openssl and by the device's own code."""

import datetime
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from microdps.identity import Identity
from microdps_tools import ToolError
from microdps_tools.certs.reading import load_certs
from microdps_tools.device.roots import load_roots

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
def test_files_and_output(command, out, kind):
    done = command("certs", kind, "device-01", "--out", out)
    assert (done.code, done.err) == (0, "")
    folder = out / "device-01"
    assert {path.name for path in folder.iterdir()} == FILES
    cert = load_certs(folder / "cert.pem")[0]
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
    """key.der is key.pem in SEC1 or PKCS#1, as openssl makes it. It fits the certificate."""
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
    leaf = load_certs(folder / "cert.pem")[0]
    intermediate = load_certs(out / "intermediate.cert.pem")[0]
    assert load_certs(folder / "full-chain.pem") == [leaf, intermediate]
    (folder / "roots.der").write_bytes(load_roots(str(out / "root.cert.pem")))
    chain = Identity.from_files(str(folder)).certs("cert")
    assert [x509.load_der_x509_certificate(bytes(cert)) for cert in chain] == [leaf, intermediate]


def test_chain_of_a_self_signed_certificate_is_the_leaf(command, out):
    command("certs", "self-signed", "device-01", "--out", out)
    folder = out / "device-01"
    assert (folder / "full-chain.pem").read_bytes() == (folder / "cert.pem").read_bytes()
    der = openssl("x509", "-in", folder / "cert.pem", "-outform", "DER")
    assert (folder / "cert.der").read_bytes() == der


def test_private_keys_are_readable_by_their_owner_only(made):
    keys = ["root.key.pem", "intermediate.key.pem", "device-01/key.pem", "device-01/key.der"]
    assert {(made / key).stat().st_mode & 0o777 for key in keys} == {0o600}


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_usages(command, out, kind):
    command("certs", kind, "device-01", "--out", out)
    cert = load_certs(out / "device-01" / "cert.pem")[0]
    (name,) = cert.subject
    assert (name.oid, name.value) == (NameOID.COMMON_NAME, "device-01")
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten_without_force(command, out, kind):
    command("certs", kind, "device-01", "--out", out)
    before = contents(out)
    refusal = command("certs", kind, "device-01", "--out", out).refusal
    assert "device-01" in refusal
    assert "--force" in refusal
    assert contents(out) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "../a", "ä", "a$", "device.", "device_", "device:", "d" * 65]
)
def test_registration_id_that_dps_forbids(command, out, kind, name):
    refusal = command("certs", kind, name, "--out", out).refusal
    assert repr(name) in refusal
    assert "registration ID" in refusal
    assert not out.exists()


def test_registration_id_with_every_kind_of_character(command, out):
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
    cert = load_certs(out / "device-01" / "cert.pem")[0]
    validity = cert.not_valid_after_utc - cert.not_valid_before_utc
    assert validity == datetime.timedelta(days=float(days))
    now = datetime.datetime.now(datetime.UTC)
    assert cert.not_valid_before_utc < now < cert.not_valid_after_utc


@pytest.mark.parametrize("kind", KINDS)
def test_folder_whose_name_is_a_file(command, out, kind):
    out.write_text("mine")
    assert f"cannot write to {out}" in command("certs", kind, "device-01", "--out", out).refusal
    assert out.read_text() == "mine"


def test_failed_replacement_leaves_no_temporary_files(command, made):
    """A folder has the name of one of the files."""
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
        with pytest.raises(ToolError, match=str(file)):
            load_certs(file)


def test_chain_with_root(command, made):
    """Microsoft's tutorial has the root in the full chain."""
    given = ("--out", made, "--with-root")
    assert command("certs", "chain", "device-02", *given).code == 0
    chain = load_certs(made / "device-02" / "full-chain.pem")
    assert chain[1:] == [load_certs(made / f"{ca}.cert.pem")[0] for ca in ("intermediate", "root")]
    assert load_certs(made / "device-02" / "cert.der") == chain
    (made / "root.cert.pem").unlink()
    (made / "root.key.pem").unlink()
    refusal = command("certs", "chain", "device-03", *given).refusal
    assert f"cannot read a certificate from {made / 'root.cert.pem'}" in refusal
    assert not (made / "device-03").exists()
