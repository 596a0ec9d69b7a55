"""certs convert: from PEM to the device's files and back; the device's own code reads them."""

import shutil

import pytest

from microdps.identity import Identity
from microdps_tools.certs import encoding, keys
from microdps_tools.certs.certificate_folder import (
    FILES,
    make_self_signed,
)
from microdps_tools.certs.chain import tls_size
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_certs
from microdps_tools.device.roots import load_roots
from microdps_tools.files import write_files

NAME = "device-01"
FILES = set(FILES)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def read(folder, root) -> list:
    """The chain, read by the device's own code."""
    roots = folder / "roots.der"
    roots.write_bytes(load_roots(str(root)))
    identity = Identity.from_files(str(folder))
    roots.unlink()
    return [bytes(cert) for cert in identity.certs("cert")]


@pytest.mark.parametrize("form", ["pem", "der"])
@pytest.mark.parametrize("with_root", [False, True])
def test_full_chain_becomes_the_devices_files(command, made, tmp_path, form, with_root):
    device = made / NAME
    chain = load_certs(device / "full-chain.pem")
    given = chain + (load_certs(made / "root.cert.pem") if with_root else [])
    file = tmp_path / "device-01-full-chain.cert.pem"
    file.write_bytes(getattr(encoding, form)(*given))
    out = tmp_path / "converted"
    done = command("certs", "convert", file, "--key", device / f"key.{form}", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{out / 'cert.der'}: {len(given)} certificates\n")
    if not with_root:
        assert {**contents(out), "key.pem": b""} == {**contents(device), "key.pem": b""}
    assert (out / "key.der").stat().st_mode & 0o777 == 0o600
    assert read(out, made / "root.cert.pem") == [encoding.der(cert) for cert in given]


def test_issuers_from_separate_files(command, made, tmp_path):
    out = tmp_path / "converted"
    done = command(
        *("certs", "convert", made / NAME / "cert.pem", "--key", made / NAME / "key.pem"),
        *("--issuer", made / "root.cert.pem", "--issuer", made / "intermediate.cert.pem"),
        *("--out", out),
    )
    assert done.code == 0
    root = encoding.der(*load_certs(made / "root.cert.pem"))
    assert (out / "cert.der").read_bytes() == (made / NAME / "cert.der").read_bytes() + root


def test_self_signed_certificate_is_kept(command, tmp_path):
    made = make_self_signed(NAME, tmp_path, "ec-p256", 30, False)
    out = tmp_path / "converted"
    command("certs", "convert", made / "cert.pem", "--key", made / "key.pem", "--out", out)
    assert contents(out)["cert.der"] == contents(made)["cert.der"]


def test_folder_with_der_files_becomes_pem(command, made, tmp_path):
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


def test_key_is_encrypted_and_decrypted_again(command, made, tmp_path, monkeypatch):
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "1234")
    out = tmp_path / "pem"
    assert command("certs", "convert", made / NAME, "--out", out, "--encrypt").code == 0
    assert b"BEGIN ENCRYPTED" in contents(out)["key.pem"]
    given = ("certs", "convert", out / "full-chain.pem", "--key", out / "key.pem")
    assert command(*given, "--out", tmp_path / "again").code == 0
    assert contents(tmp_path / "again")["key.der"] == contents(made / NAME)["key.der"]
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE)
    refusal = command(*given, "--out", tmp_path / "locked").refusal
    assert "is encrypted" in refusal
    assert not (tmp_path / "locked").exists()


def test_wrong_usage_is_refused_and_writes_nothing(command, made, tmp_path):
    device, out = made / NAME, tmp_path / "converted"
    convert = ("certs", "convert", "--out", out)
    leaf, key = device / "cert.pem", device / "key.pem"
    assert "--key" in command(*convert, leaf).refusal
    assert "is a folder" in command(*convert, device, "--key", key).refusal
    other = made / "root.key.pem"
    assert "is not the key of" in command(*convert, leaf, "--key", other).refusal
    root = made / "root.cert.pem"
    refusal = command(*convert, leaf, "--key", key, "--issuer", root).refusal
    assert "device-01 is not signed by microdps test root" in refusal
    assert not out.exists()


def test_chain_too_long_for_a_device(command, tmp_path):
    issuers = [issue("root", ca=True)]
    for number in range(12):
        issuers.insert(0, issue(f"issuer {number}", issuers[0], ca=True))
    pair = issue(NAME, issuers[0])
    chain = [pair.cert, *(issuer.cert for issuer in issuers)]
    assert tls_size(chain[:-1]) > 4096
    write_files(tmp_path, {"c.pem": encoding.pem(*chain), "key.pem": encoding.key_pem(pair.key)})
    given = (tmp_path / "c.pem", "--key", tmp_path / "key.pem", "--out", tmp_path / "converted")
    assert "a device can send 4096" in command("certs", "convert", *given).refusal
    assert not (tmp_path / "converted").exists()
