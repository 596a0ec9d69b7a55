"""The test CA: root, intermediate and the proof of possession."""

import shutil
import subprocess

import pytest
from cryptography import x509

from microdps_tools.certs.certificate_folder import FILES
from microdps_tools.certs.reading import common_name, load_certs, signed_by

NAME = "device-01"
CA_FILES = {f"{ca}.{part}.pem" for ca in ("root", "intermediate") for part in ("cert", "key")}


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def verify(out, name) -> None:
    """openssl accepts a device's chain."""
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient"]
    command += ["-CAfile", out / "root.cert.pem", "-untrusted", out / "intermediate.cert.pem"]
    subprocess.run([*command, out / name / "cert.pem"], check=True, timeout=60)


def test_cas_may_sign_and_have_no_extended_key_usage(made):
    for ca in ("root", "intermediate"):
        extensions = load_certs(made / f"{ca}.cert.pem")[0].extensions
        assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        with pytest.raises(x509.ExtensionNotFound):
            extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_refused_chain_makes_no_ca(command, out):
    command("certs", "self-signed", "device-01", "--out", out)
    before = contents(out)
    assert "--force" in command("certs", "chain", "device-01", "--out", out).refusal
    assert contents(out) == before


def test_force_replaces_the_device_and_keeps_the_cas(command, made):
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
def test_ca_with_a_missing_file_is_refused(command, made, file):
    (made / file).unlink()
    before = contents(made)
    assert file in command("certs", "chain", "device-02", "--out", made).refusal
    assert contents(made) == before
    assert not (made / "device-02").exists()


@pytest.mark.parametrize("ca", ["root", "intermediate"])
def test_ca_with_the_wrong_key_is_refused(command, made, ca):
    other = "intermediate" if ca == "root" else "root"
    shutil.copy(made / f"{other}.key.pem", made / f"{ca}.key.pem")
    refusal = command("certs", "chain", "device-02", "--out", made).refusal
    assert f"{ca}.key.pem is not the key of" in refusal
    assert not (made / "device-02").exists()


def test_root_may_be_kept_elsewhere(command, made):
    for file in ("root.cert.pem", "root.key.pem"):
        (made / file).unlink()
    assert command("certs", "chain", "device-02", "--out", made).code == 0
    assert not list(made.glob("root.*"))


def test_root_that_did_not_sign_the_intermediate_is_refused(command, made, tmp_path):
    assert command("certs", "chain", "device-01", "--out", tmp_path / "other").code == 0
    for file in ("root.cert.pem", "root.key.pem"):
        shutil.copy(tmp_path / "other" / file, made / file)
    refusal = command("certs", "chain", "device-02", "--out", made).refusal
    assert "did not sign the intermediate" in refusal
    assert not (made / "device-02").exists()


def test_ca_key_that_is_not_a_key_is_refused(command, made):
    (made / "root.key.pem").write_text("no key\n")
    assert "root.key.pem" in command("certs", "chain", "device-02", "--out", made).refusal


CODE = "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288"


def test_proof_has_the_code_and_the_cas_signature(command, made, tmp_path):
    out = tmp_path / "proof.cert.pem"
    authority = ("--cert", made / "root.cert.pem", "--key", made / "root.key.pem")
    done = command("certs", "prove", CODE, *authority, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert str(out) in done.out
    (proof,) = load_certs(out)
    assert common_name(proof) == CODE
    assert signed_by(proof, load_certs(made / "root.cert.pem")[0])
    assert "--force" in command("certs", "prove", CODE, *authority, "--out", out).refusal


@pytest.mark.parametrize("code", ["", "a b", "A" * 65, "ä", "../x"])
def test_invalid_verification_code(command, made, tmp_path, code):
    authority = ("--cert", made / "root.cert.pem", "--key", made / "root.key.pem")
    out = tmp_path / "proof.pem"
    refusal = command("certs", "prove", code, *authority, "--out", out).refusal
    assert "is not a verification code" in refusal
    assert not out.exists()


def test_proof_needs_a_ca(command, made, tmp_path):
    given = ("--cert", made / NAME / "cert.pem", "--key", made / NAME / "key.pem")
    out = tmp_path / "proof.pem"
    assert (
        "is not a CA certificate" in command("certs", "prove", CODE, *given, "--out", out).refusal
    )
