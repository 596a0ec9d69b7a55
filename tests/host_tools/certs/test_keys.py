"""Encrypted keys: written with --encrypt, read back, and what is said when they do not open."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from microdps_tools import ToolError
from microdps_tools.certs import keys as certs_keys
from microdps_tools.certs import making as certs

PASSPHRASE = b"1234"


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def passphrase_file(tmp_path):
    file = tmp_path / "passphrase.txt"
    file.write_bytes(PASSPHRASE + b"\r\nsecond line\n")
    return file


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch):
    monkeypatch.delenv(certs_keys.PASSPHRASE, raising=False)


def private(key, encoding, form, passphrase=None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(encoding, form, encryption)


@pytest.mark.parametrize(
    ("encoding", "form", "passphrase"),
    [
        (Encoding.PEM, PrivateFormat.PKCS8, None),
        (Encoding.PEM, PrivateFormat.PKCS8, PASSPHRASE),
        (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, None),
        (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PASSPHRASE),
        (Encoding.DER, PrivateFormat.PKCS8, None),
        (Encoding.DER, PrivateFormat.PKCS8, PASSPHRASE),
        (Encoding.DER, PrivateFormat.TraditionalOpenSSL, None),
    ],
)
@pytest.mark.parametrize("given", [None, PASSPHRASE, b"wrong"])
def test_key_of_every_encoding(tmp_path, key, encoding, form, passphrase, given):
    path = tmp_path / "key"
    path.write_bytes(private(key, encoding, form, passphrase))
    if passphrase in (None, given):
        assert certs_keys.load_key(path, given).private_numbers() == key.private_numbers()
        return
    with pytest.raises(ToolError) as caught:
        certs_keys.load_key(path, given)
    assert str(path) in str(caught.value)
    assert certs_keys.PASSPHRASE in str(caught.value)
    assert ("does not open" if given else "is encrypted") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nMII=\n"])
@pytest.mark.parametrize("given", [None, PASSPHRASE])
def test_file_that_is_no_key(tmp_path, content, given):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=f"the private key {path} "):
        certs_keys.load_key(path, given)


def test_key_of_another_kind(tmp_path):
    path = tmp_path / "key"
    other = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(private(other, Encoding.PEM, PrivateFormat.PKCS8))
    with pytest.raises(ToolError, match="neither RSA nor EC"):
        certs_keys.load_key(path)


def test_missing_key(tmp_path):
    with pytest.raises(ToolError, match="No such file"):
        certs_keys.load_key(tmp_path / "key")


def test_passphrase_from_the_file_goes_before_the_environment(monkeypatch, passphrase_file):
    assert certs_keys.read_passphrase(None) is None
    monkeypatch.setenv(certs_keys.PASSPHRASE, "other")
    assert certs_keys.read_passphrase(None) == b"other"
    assert certs_keys.read_passphrase(passphrase_file) == PASSPHRASE


@pytest.mark.parametrize("content", [None, b"", b"\n1234\n", b"x" * 1024])
def test_file_that_holds_no_passphrase(tmp_path, content):
    file = tmp_path / "passphrase.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ToolError, match=str(file)):
        certs_keys.read_passphrase(file)


def test_new_key_is_of_the_certificates_type():
    for key_type, size in (("ec-p256", 256), ("ec-p384", 384), ("rsa-2048", 2048)):
        made = certs_keys.key_like(certs.issue("one", key_type=key_type).cert)
        assert isinstance(made, rsa.RSAPrivateKey) == key_type.startswith("rsa")
        assert made.key_size == size


@pytest.mark.parametrize("kind", ["self-signed", "chain"])
def test_keys_are_encrypted_on_request(command, tmp_path, kind, passphrase_file):
    out = tmp_path / "certs"
    with_file = ("--encrypt", "--passphrase-file", passphrase_file)
    assert command("certs", kind, "device-01", "--out", out, *with_file).code == 0
    keys = list(out.rglob("*key.pem"))
    assert len(keys) == (1 if kind == "self-signed" else 3)
    for path in keys:
        assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert path.stat().st_mode & 0o777 == 0o600
        certs_keys.load_key(path, PASSPHRASE)
    folder = out / "device-01"
    pair = certs.load_pair(folder / "cert.pem", folder / "key.der")  # the device's: never
    assert certs.key_der(pair) == (folder / "key.der").read_bytes()


def test_encrypted_issuer_signs_when_its_passphrase_is_there(
    command, tmp_path, monkeypatch, passphrase_file
):
    out = tmp_path / "certs"
    given = ("--out", out, "--encrypt", "--passphrase-file", passphrase_file)
    command("certs", "chain", "device-01", *given)
    refusal = command("certs", "chain", "device-02", "--out", out).refusal
    assert "root.key.pem is encrypted: set MICRODPS_KEY_PASSPHRASE" in refusal
    monkeypatch.setenv(certs_keys.PASSPHRASE, "12345")
    refusal = command("certs", "chain", "device-02", "--out", out).refusal
    assert "does not open" in refusal
    assert "12345" not in refusal
    assert not (out / "device-02").exists()
    monkeypatch.setenv(certs_keys.PASSPHRASE, "1234")
    assert command("certs", "chain", "device-02", "--out", out).code == 0
    assert b"ENCRYPTED" not in (out / "device-02" / "key.pem").read_bytes()


def test_encryption_without_a_passphrase_is_refused(command, tmp_path):
    out = tmp_path / "certs"
    refusal = command("certs", "chain", "device-01", "--out", out, "--encrypt").refusal
    assert "--encrypt needs a pass-phrase" in refusal
    assert not out.exists()


def test_passphrase_is_no_option(command, tmp_path):
    done = command("certs", "chain", "device-01", "--out", tmp_path, "--passphrase", "1234")
    assert done.code in (1, 2)
    assert not (tmp_path / "device-01").exists()
