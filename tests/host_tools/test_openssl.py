"""The how-to's openssl commands make files that our tools take, and openssl takes ours."""

import shutil
import subprocess

import pytest

from host_tools import certs, config

TIMEOUT_S = 60
PHRASE = "1234"  # the how-to's

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = clientAuth
"""


@pytest.fixture
def openssl(tmp_path):
    """Run openssl in a folder of its own → its output. Fails if it does."""
    (tmp_path / "openssl.cnf").write_text(CONFIG)

    def run(*arguments) -> str:
        done = subprocess.run(
            ["openssl", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = tmp_path
    return run


def key(openssl, name, kind="rsa:2048"):
    if kind.startswith("rsa"):
        bits = kind.partition(":")[2]
        openssl("genrsa", "-aes256", "-passout", f"pass:{PHRASE}", "-out", f"{name}.key.pem", bits)
    else:
        openssl("ecparam", "-name", kind, "-genkey", "-noout", "-out", f"{name}.plain.pem")
        encrypt = ["-topk8", "-v2", "aes256", "-passout", f"pass:{PHRASE}"]
        openssl("pkcs8", *encrypt, "-in", f"{name}.plain.pem", "-out", f"{name}.key.pem")


def sign(openssl, name, issuer, section) -> None:
    """A certificate for a key, signed by an issuer's, by itself if there is none."""
    config_ = ["-config", "openssl.cnf", "-extensions", section]
    subject = ["-subj", f"/CN={name}", "-passin", f"pass:{PHRASE}"]
    if not issuer:
        new = ["-new", "-x509", "-days", "30", "-sha256", "-key", f"{name}.key.pem"]
        openssl("req", *new, *config_, *subject, "-out", f"{name}.cert.pem")
        return
    request = ["-new", "-sha256", "-key", f"{name}.key.pem", "-config", "openssl.cnf"]
    openssl("req", *request, *subject, "-out", f"{name}.csr.pem")
    by = ["-CA", f"{issuer}.cert.pem", "-CAkey", f"{issuer}.key.pem", "-CAcreateserial"]
    openssl(
        *("x509", "-req", "-days", "30", "-sha256", "-in", f"{name}.csr.pem", *by),
        *("-passin", f"pass:{PHRASE}", "-extfile", "openssl.cnf", "-extensions", section),
        *("-out", f"{name}.cert.pem"),
    )


@pytest.fixture
def phrase(monkeypatch):
    monkeypatch.setenv("MICRODPS_KEY_PASSPHRASE", PHRASE)


def checked(command, folder, name) -> None:
    """A board could use what was converted."""
    device = folder / "device"
    config.write_identity(device, folder / "converted", "azure")
    config.write_config(device, {"id_scope": "0ne00111111", "registration_id": name})
    done = command("check", device)
    assert done.code == 0, done.out


def test_self_signed_of_the_how_to(openssl, command, phrase):
    """RSA 4096, SHA-256, CA:FALSE, clientAuth, a pass-phrase."""
    key(openssl, "device-01", "rsa:4096")
    sign(openssl, "device-01", None, "client")
    folder = openssl.folder
    arguments = [folder / "device-01.cert.pem", "--key", folder / "device-01.key.pem"]
    done = command("certs", "convert", *arguments, "--out", folder / "converted")
    assert done.code == 0, done.err
    assert "RSA 4096, for clientAuth" in done.out
    checked(command, folder, "device-01")


@pytest.mark.parametrize("kind", ["rsa:2048", "prime256v1", "secp384r1"])
def test_chain_of_the_how_to(openssl, command, phrase, kind):
    folder = openssl.folder
    for name, issuer, section in (
        ("root", None, "ca"),
        ("intermediate", "root", "ca"),
        ("device-01", "intermediate", "client"),
    ):
        key(openssl, name, kind)
        sign(openssl, name, issuer, section)
    chain = folder / "device-01-full-chain.cert.pem"
    names = ("device-01", "intermediate", "root")
    chain.write_text("".join((folder / f"{name}.cert.pem").read_text() for name in names))
    arguments = [chain, "--key", folder / "device-01.key.pem", "--out", folder / "converted"]
    done = command("certs", "convert", *arguments)
    assert done.code == 0, done.err
    assert ": 2 certificates" in done.out  # the root is left out
    checked(command, folder, "device-01")
    # The same from separate files, and from DER.
    again = [folder / "device-01.cert.pem", "--key", folder / "device-01.key.pem"]
    again += ["--issuer", folder / "intermediate.cert.pem", "--out", folder / "again"]
    assert command("certs", "convert", *again).code == 0
    back = [folder / "again" / "cert.der", "--key", folder / "again" / "key.der"]
    assert command("certs", "convert", *back, "--out", folder / "back").code == 0
    for name in ("cert.der", "full-chain.pem", "key.der"):
        first = (folder / "converted" / name).read_bytes()
        assert (folder / "again" / name).read_bytes() == first
        assert (folder / "back" / name).read_bytes() == first


@pytest.mark.parametrize("key_type", certs.KEY_TYPES)
def test_openssl_verifies_ours(openssl, command, key_type):
    folder = openssl.folder
    assert command("certs", "chain", "device-01", "--key", key_type, "--out", folder).code == 0
    by = ["-CAfile", "root.cert.pem", "-untrusted", "intermediate.cert.pem"]
    shown = openssl("verify", *by, "-purpose", "sslclient", "device-01/cert.pem")
    assert shown == "device-01/cert.pem: OK\n"
    openssl("verify", "-CAfile", "root.cert.pem", "intermediate.cert.pem")
    purposes = openssl("x509", "-in", "device-01/cert.pem", "-noout", "-purpose")
    assert "SSL client : Yes" in purposes
    assert "SSL server : No" in purposes


def test_key_that_we_encrypt_opens_with_its_pass_phrase(openssl, command, phrase):
    folder = openssl.folder
    done = command("certs", "chain", "device-01", "--encrypt", "--out", folder)
    assert done.code == 0, done.err
    for name in ("device-01/key.pem", "intermediate.key.pem", "root.key.pem"):
        assert "ENCRYPTED" in (folder / name).read_text()
        openssl("pkey", "-in", name, "-passin", f"pass:{PHRASE}", "-noout")
    openssl("pkey", "-inform", "DER", "-in", "device-01/key.der", "-noout")
    assert command("certs", "chain", "device-02", "--out", folder).code == 0


def test_proof_of_possession(openssl, command, phrase):
    key(openssl, "root")
    sign(openssl, "root", None, "ca")
    folder = openssl.folder
    arguments = ["--cert", folder / "root.cert.pem", "--key", folder / "root.key.pem"]
    code = "106A5SD242AF512B3498BD6098C4941E66R34H268DDB3288"
    done = command("certs", "prove", code, *arguments, "--out", folder / "proof.pem")
    assert done.code == 0, done.err
    assert openssl("verify", "-CAfile", "root.cert.pem", "proof.pem") == "proof.pem: OK\n"
    assert code in openssl("x509", "-in", "proof.pem", "-noout", "-subject")
    assert not list(folder.glob("*proof*key*"))
