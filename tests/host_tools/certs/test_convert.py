"""certs convert, prove and renew: from files to files; the device's own reader judges."""

import datetime
import shutil

import pytest

from microdps.certificate import validity
from microdps.identity import Identity
from microdps_tools.certs import convert as certs_convert
from microdps_tools.certs import keys as certs_keys
from microdps_tools.certs import making as certs
from microdps_tools.certs.show import size
from microdps_tools.device import config

NAME = "device-01"
FILES = set(certs.FILES)


@pytest.fixture
def made(command, tmp_path):
    """The folder of certificates with a chain for device-01."""
    assert command("certs", "chain", NAME, "--out", tmp_path / "certs").code == 0
    return tmp_path / "certs"


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def read(folder, root) -> list:
    """The chain as the device reads it."""
    roots = folder / "roots.der"
    roots.write_bytes(config.roots(str(root)))
    identity = Identity.from_files(str(folder))
    roots.unlink()
    return [bytes(cert) for cert in identity.certs("cert")]


@pytest.mark.parametrize("encoding", ["pem", "der"])
@pytest.mark.parametrize("with_root", [False, True])
def test_full_chain_becomes_what_the_device_reads(command, made, tmp_path, encoding, with_root):
    device = made / NAME
    chain = certs.load_certs(device / "full-chain.pem")
    given = chain + (certs.load_certs(made / "root.cert.pem") if with_root else [])
    file = tmp_path / "device-01-full-chain.cert.pem"
    file.write_bytes(getattr(certs, encoding)(*given))
    out = tmp_path / "converted"
    done = command("certs", "convert", file, "--key", device / f"key.{encoding}", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{out / 'cert.der'}: 2 certificates\n")
    assert {**contents(out), "key.pem": b""} == {**contents(device), "key.pem": b""}
    assert (out / "key.der").stat().st_mode & 0o777 == 0o600
    assert read(out, made / "root.cert.pem") == [certs.der(cert) for cert in chain]


def test_issuers_in_files_of_their_own(command, made, tmp_path):
    out = tmp_path / "converted"
    done = command(
        *("certs", "convert", made / NAME / "cert.pem", "--key", made / NAME / "key.pem"),
        *("--issuer", made / "intermediate.cert.pem", "--issuer", made / "root.cert.pem"),
        *("--out", out),
    )
    assert done.code == 0
    assert (out / "cert.der").read_bytes() == (made / NAME / "cert.der").read_bytes()


def test_self_signed_certificate_stays(command, tmp_path):
    made = certs.self_signed(NAME, tmp_path, "ec-p256", 30, False)
    out = tmp_path / "converted"
    command("certs", "convert", made / "cert.pem", "--key", made / "key.pem", "--out", out)
    assert contents(out)["cert.der"] == contents(made)["cert.der"]


def test_folder_of_a_device_becomes_pem(command, made, tmp_path):
    device = tmp_path / "board"
    device.mkdir()
    for name in ("key.der", "cert.der"):
        shutil.copy(made / NAME / name, device)
    out = tmp_path / "pem"
    assert command("certs", "convert", device, "--out", out).code == 0
    assert contents(out) == {
        name: content for name, content in contents(made / NAME).items() if name.endswith("pem")
    }
    assert command("certs", "convert", device, "--out", device).code == 0
    assert contents(device) == contents(made / NAME)
    before = contents(device)
    assert "--force" in command("certs", "convert", device, "--out", device).refusal
    assert contents(device) == before


def test_key_is_encrypted_there_and_back(command, made, tmp_path, monkeypatch):
    monkeypatch.setenv(certs_keys.PASSPHRASE, "1234")
    out = tmp_path / "pem"
    assert command("certs", "convert", made / NAME, "--out", out, "--encrypt").code == 0
    assert b"BEGIN ENCRYPTED" in contents(out)["key.pem"]
    given = ("certs", "convert", out / "full-chain.pem", "--key", out / "key.pem")
    assert command(*given, "--out", tmp_path / "again").code == 0
    assert contents(tmp_path / "again")["key.der"] == contents(made / NAME)["key.der"]
    monkeypatch.delenv(certs_keys.PASSPHRASE)
    refusal = command(*given, "--out", tmp_path / "locked").refusal
    assert "is encrypted" in refusal
    assert not (tmp_path / "locked").exists()


def test_wrong_use_is_refused_and_leaves_nothing(command, made, tmp_path):
    device, out = made / NAME, tmp_path / "converted"
    convert = ("certs", "convert", "--out", out)
    leaf, key = device / "cert.pem", device / "key.pem"
    assert "--key" in command(*convert, leaf).refusal
    assert "is a folder" in command(*convert, device, "--key", key).refusal
    other = made / "root.key.pem"
    assert "is not the key of" in command(*convert, leaf, "--key", other).refusal
    root = made / "root.cert.pem"
    given = (leaf, "--key", key, "--issuer", root, "--issuer", made / "intermediate.cert.pem")
    assert "in their order, the leaf's first" in command(*convert, *given).refusal
    assert not out.exists()


def test_chain_that_no_device_can_send(command, tmp_path):
    issuers = [certs.issue("root", ca=True)]
    for number in range(12):
        issuers.insert(0, certs.issue(f"issuer {number}", issuers[0], ca=True))
    pair = certs.issue(NAME, issuers[0])
    chain = [pair.cert, *(issuer.cert for issuer in issuers)]
    assert size(chain[:-1]) > 4096
    certs.write_new(tmp_path, {"c.pem": certs.pem(*chain), "key.pem": certs.key_pem(pair)})
    given = (tmp_path / "c.pem", "--key", tmp_path / "key.pem", "--out", tmp_path / "converted")
    assert "a device can send 4096" in command("certs", "convert", *given).refusal
    assert not (tmp_path / "converted").exists()


CODE = "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288"


def test_proof_is_for_the_code_and_of_the_ca(command, made, tmp_path):
    out = tmp_path / "proof.cert.pem"
    authority = ("--cert", made / "root.cert.pem", "--key", made / "root.key.pem")
    done = command("certs", "prove", CODE, *authority, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert str(out) in done.out
    (proof,) = certs.load_certs(out)
    assert certs.common_name(proof) == CODE
    assert certs.signed_by(proof, certs.load_certs(made / "root.cert.pem")[0])
    assert "--force" in command("certs", "prove", CODE, *authority, "--out", out).refusal


@pytest.mark.parametrize("code", ["", "a b", "A" * 65, "ä", "../x"])
def test_what_is_no_verification_code(command, made, tmp_path, code):
    authority = ("--cert", made / "root.cert.pem", "--key", made / "root.key.pem")
    out = tmp_path / "proof.pem"
    refusal = command("certs", "prove", code, *authority, "--out", out).refusal
    assert "is no verification code" in refusal
    assert not out.exists()


def test_proof_needs_a_ca(command, made, tmp_path):
    given = ("--cert", made / NAME / "cert.pem", "--key", made / NAME / "key.pem")
    out = tmp_path / "proof.pem"
    assert "is no CA" in command("certs", "prove", CODE, *given, "--out", out).refusal


def leaf(folder):
    return certs.load_certs(folder / "cert.der")[0]


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
    assert contents(new).keys() == FILES
    old, renewed = leaf(out / NAME), leaf(new)
    assert renewed.subject == old.subject
    assert renewed.issuer == old.issuer
    assert renewed.public_key().curve.name == old.public_key().curve.name
    assert (renewed.public_key() == old.public_key()) is keep
    # As the device compares them.
    assert validity(certs.der(renewed), "b")[0] > validity(certs.der(old), "a")[0]
    assert renewed.not_valid_before_utc <= datetime.datetime.now(datetime.UTC)
    if kind == "chain":
        assert read(new, out / "root.cert.pem")[1:] == read(out / NAME, out / "root.cert.pem")[1:]


def test_renewals_take_the_slots_in_turn(command, made):
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
    certs.load_pair(device / "cert.pem", device / "key.der")
    assert command("certs", "renew", NAME, "--out", made, "--force").code == 0
    assert leaf(device / "b").not_valid_before_utc > begins[2]


def test_renewal_by_another_issuer_is_refused(command, made, tmp_path):
    certs.chain("unused", tmp_path / "other", "ec-p256", 30, False)
    given = ["certs", "renew", NAME, "--out", made]
    for part in ("cert", "key"):
        given += [f"--issuer-{part}", tmp_path / "other" / f"intermediate.{part}.pem"]
    assert "has not signed 'device-01'" in command(*given).refusal
    assert not (made / NAME / "b").exists()


def test_renewal_by_an_issuer_that_has_expired(command, tmp_path):
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    issuer = certs.issue("intermediate", ca=True, days=30, start=start)
    device = certs.issue(NAME, issuer, days=30, start=start)
    name = "intermediate"
    files = {f"{name}.cert.pem": certs.pem(issuer.cert), f"{name}.key.pem": certs.key_pem(issuer)}
    certs.write_new(tmp_path, files)
    certs.write_new(tmp_path / NAME, certs.device_files(device, [issuer.cert]))
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


def test_renewal_of_a_device_that_is_not_there(command, made):
    assert "device-02" in command("certs", "renew", "device-02", "--out", made).refusal
    assert "registration ID" in command("certs", "renew", "../x", "--out", made).refusal


def test_renewal_goes_into_the_other_slot(command, made, tmp_path):
    """What 'certs renew' says is to be done next."""
    device = tmp_path / "device"
    given = ("config", "--out", device, "--roots", made / "root.cert.pem")
    first = ("--identity", made / NAME, "--id-scope", "0ne00111111", "--registration-id", NAME)
    assert command(*given, *first).code == 0
    words = command("certs", "renew", NAME, "--out", made).out.split("next: microdps ")[1].split()
    words[words.index("--out") + 1] = str(device)
    assert command(*words).code == 0
    begin = validity((device / "identity" / "a" / "cert.der").read_bytes(), "a")[0]
    assert validity((device / "identity" / "b" / "cert.der").read_bytes(), "b")[0] > begin


def test_key_of_rsa_is_renewed_in_its_size(tmp_path):
    folder = certs.self_signed(NAME, tmp_path, "rsa-2048", 30, False)
    made, slot = certs_convert.renew(folder, tmp_path, tmp_path, 30, False, False)
    assert slot == "b"
    assert leaf(made).public_key().key_size == 2048
