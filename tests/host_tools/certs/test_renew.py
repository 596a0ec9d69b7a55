"""certs renew: the next certificate, for the device's other slot."""

import datetime
import shutil

import pytest

from microdps.certificate import validity
from microdps.identity import Identity
from microdps_tools.certs import encoding
from microdps_tools.certs.certificate_folder import (
    FILES,
    device_files,
    make_chain,
    make_self_signed,
)
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key, load_certs
from microdps_tools.certs.renew import renew
from microdps_tools.device.roots import load_roots
from microdps_tools.files import write_files

NAME = "device-01"


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def issuers(folder, root) -> list:
    """The chain without the leaf, read by the device's own code."""
    roots = folder / "roots.der"
    roots.write_bytes(load_roots(str(root)))
    identity = Identity.from_files(str(folder))
    roots.unlink()
    return [bytes(cert) for cert in identity.certs("cert")][1:]


def leaf(folder):
    return load_certs(folder / "cert.der")[0]


@pytest.mark.parametrize("kind", ["self-signed", "chain"])
@pytest.mark.parametrize("keep", [False, True])
def test_renewed_certificate_follows_the_old_one(command, tmp_path, kind, keep):
    out = tmp_path / "certs"
    command("certs", kind, NAME, "--out", out, "--key", "ec-p384")
    before = contents(out / NAME)
    option = ["--keep-key"] if keep else []
    done = command("certs", "renew", NAME, "--out", out, "--days", "30", *option)
    assert (done.code, done.err) == (0, "")
    new = out / NAME / "b"
    assert f"--identity {new} --slot b" in done.out
    assert contents(out / NAME) == before
    assert contents(new).keys() == set(FILES)
    old, renewed = leaf(out / NAME), leaf(new)
    assert renewed.subject == old.subject
    assert renewed.issuer == old.issuer
    assert renewed.public_key().curve.name == old.public_key().curve.name
    assert (renewed.public_key() == old.public_key()) is keep
    # The device compares them like this.
    assert validity(encoding.der(renewed), "b")[0] > validity(encoding.der(old), "a")[0]
    assert renewed.not_valid_before_utc <= datetime.datetime.now(datetime.UTC)
    if kind == "chain":
        root = out / "root.cert.pem"
        assert issuers(new, root) == issuers(out / NAME, root)


def test_renewals_alternate_between_the_slots(command, made):
    device = made / NAME
    assert command("certs", "renew", NAME, "--out", made).code == 0
    begins = [leaf(device).not_valid_before_utc, leaf(device / "b").not_valid_before_utc]
    refusal = command("certs", "renew", NAME, "--out", made).refusal
    assert "--force" in refusal
    done = command("certs", "renew", NAME, "--out", made, "--force")
    assert f"--identity {device} --slot a" in done.out
    begins.append(leaf(device).not_valid_before_utc)
    assert leaf(device / "b").not_valid_before_utc == begins[1]
    assert begins == sorted(set(begins))
    load_cert_and_key(device / "cert.pem", device / "key.der")
    assert command("certs", "renew", NAME, "--out", made, "--force").code == 0
    assert leaf(device / "b").not_valid_before_utc > begins[2]


def test_renewal_by_another_issuer_is_refused(command, made, tmp_path):
    make_chain("unused", tmp_path / "other", "ec-p256", 30, False)
    given = ["certs", "renew", NAME, "--out", made]
    for part in ("cert", "key"):
        given += [f"--issuer-{part}", tmp_path / "other" / f"intermediate.{part}.pem"]
    assert "did not sign 'device-01'" in command(*given).refusal
    assert not (made / NAME / "b").exists()


def test_renewal_by_an_issuer_that_has_expired(command, tmp_path):
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    issuer = issue("intermediate", ca=True, days=30, start=start)
    device = issue(NAME, issuer, days=30, start=start)
    write_files(tmp_path, encoding.pem_files("intermediate", issuer))
    write_files(tmp_path / NAME, device_files(device, [issuer.cert]))
    refusal = command("certs", "renew", NAME, "--out", tmp_path).refusal
    assert "expired on 2020-01-31" in refusal
    assert not (tmp_path / NAME / "b").exists()


def test_renewal_of_a_converted_device_by_a_named_issuer(command, made, tmp_path):
    shutil.copytree(made / NAME, tmp_path / "elsewhere" / NAME)
    given = ["certs", "renew", NAME, "--out", tmp_path / "elsewhere"]
    assert "intermediate.key.pem" in command(*given).refusal
    for part in ("cert", "key"):
        given += [f"--issuer-{part}", made / f"intermediate.{part}.pem"]
    assert command(*given).code == 0


def test_renewal_of_an_unknown_device(command, made):
    assert "device-02" in command("certs", "renew", "device-02", "--out", made).refusal
    assert "registration ID" in command("certs", "renew", "../x", "--out", made).refusal


def test_renewal_goes_into_the_other_slot(command, made, tmp_path):
    """The command that 'certs renew' prints as the next step."""
    device = tmp_path / "device"
    given = ("config", "--out", device, "--roots", made / "root.cert.pem", "--host", "dps.example")
    first = ("--identity", made / NAME, "--id-scope", "0ne00111111", "--registration-id", NAME)
    assert command(*given, *first).code == 0
    words = command("certs", "renew", NAME, "--out", made).out.split("next: microdps ")[1].split()
    words[words.index("--out") + 1] = str(device)
    assert command(*words).code == 0
    begin = validity((device / "identity" / "a" / "cert.der").read_bytes(), "a")[0]
    assert validity((device / "identity" / "b" / "cert.der").read_bytes(), "b")[0] > begin


def test_new_rsa_key_has_the_size_of_the_old_one(tmp_path):
    folder = make_self_signed(NAME, tmp_path, "rsa-2048", 30, False)
    made, slot = renew(folder, tmp_path, tmp_path, 30, False, False)
    assert slot == "b"
    assert leaf(made).public_key().key_size == 2048
