"""Keys: every encoding, encrypted with --encrypt, and the errors when they do not open."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from microdps_tools import ToolError
from microdps_tools.certs import encoding, keys
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_cert_and_key

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
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE, raising=False)


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
def test_key_in_every_encoding(tmp_path, key, encoding, form, passphrase, given):
    path = tmp_path / "key"
    path.write_bytes(private(key, encoding, form, passphrase))
    if passphrase in (None, given):
        assert keys.load_key(path, given).private_numbers() == key.private_numbers()
        return
    with pytest.raises(ToolError) as caught:
        keys.load_key(path, given)
    assert str(path) in str(caught.value)
    assert keys.PASSPHRASE_VARIABLE in str(caught.value)
    assert ("does not open" if given else "is encrypted") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nMII=\n"])
@pytest.mark.parametrize("given", [None, PASSPHRASE])
def test_file_that_is_not_a_key(tmp_path, content, given):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=f"the private key {path} "):
        keys.load_key(path, given)


def test_key_of_an_unsupported_type(tmp_path):
    path = tmp_path / "key"
    other = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(private(other, Encoding.PEM, PrivateFormat.PKCS8))
    with pytest.raises(ToolError, match="neither RSA nor EC"):
        keys.load_key(path)


def test_missing_key(tmp_path):
    with pytest.raises(ToolError, match="No such file"):
        keys.load_key(tmp_path / "key")


def test_passphrase_file_wins_over_the_environment(monkeypatch, passphrase_file):
    assert keys.read_passphrase(None) is None
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "other")
    assert keys.read_passphrase(None) == b"other"
    assert keys.read_passphrase(passphrase_file) == PASSPHRASE


@pytest.mark.parametrize("content", [None, b"", b"\n1234\n", b"x" * 1024])
def test_file_without_a_passphrase(tmp_path, content):
    file = tmp_path / "passphrase.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ToolError, match=str(file)):
        keys.read_passphrase(file)


def test_new_key_has_the_certificates_type():
    for key_type, size in (("ec-p256", 256), ("ec-p384", 384), ("rsa-2048", 2048)):
        made = keys.new_key_like(issue("one", key_type=key_type).cert)
        assert isinstance(made, rsa.RSAPrivateKey) == key_type.startswith("rsa")
        assert made.key_size == size


@pytest.mark.parametrize("kind", ["self-signed", "chain"])
def test_keys_are_encrypted_on_request(command, tmp_path, kind, passphrase_file):
    out = tmp_path / "certs"
    with_file = ("--encrypt", "--passphrase-file", passphrase_file)
    assert command("certs", kind, "device-01", "--out", out, *with_file).code == 0
    paths = list(out.rglob("*key.pem"))
    assert len(paths) == (1 if kind == "self-signed" else 3)
    for path in paths:
        assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert path.stat().st_mode & 0o777 == 0o600
        keys.load_key(path, PASSPHRASE)
    folder = out / "device-01"
    # The device's key is never encrypted.
    pair = load_cert_and_key(folder / "cert.pem", folder / "key.der")
    assert encoding.key_der(pair.key) == (folder / "key.der").read_bytes()


def test_encrypted_issuer_signs_with_its_passphrase(
    command, tmp_path, monkeypatch, passphrase_file
):
    out = tmp_path / "certs"
    given = ("--out", out, "--encrypt", "--passphrase-file", passphrase_file)
    command("certs", "chain", "device-01", *given)
    refusal = command("certs", "chain", "device-02", "--out", out).refusal
    assert "root.key.pem is encrypted: set MICRODPS_KEY_PASSPHRASE" in refusal
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "12345")
    refusal = command("certs", "chain", "device-02", "--out", out).refusal
    assert "does not open" in refusal
    assert "12345" not in refusal
    assert not (out / "device-02").exists()
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "1234")
    assert command("certs", "chain", "device-02", "--out", out).code == 0
    assert b"ENCRYPTED" not in (out / "device-02" / "key.pem").read_bytes()


def test_encryption_without_a_passphrase_is_refused(command, tmp_path):
    out = tmp_path / "certs"
    refusal = command("certs", "chain", "device-01", "--out", out, "--encrypt").refusal
    assert "--encrypt needs a pass-phrase" in refusal
    assert not out.exists()


def test_passphrase_is_not_an_option(command, tmp_path):
    done = command("certs", "chain", "device-01", "--out", tmp_path, "--passphrase", "1234")
    assert done.code in (1, 2)
    assert not (tmp_path / "device-01").exists()
