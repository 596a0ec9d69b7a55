"""Our tools read the files of the how-to's openssl commands, and openssl reads ours."""

import shutil
import subprocess
import time

import pytest

from microdps_tools.certs.keys import KEY_TYPES
from microdps_tools.device.config import write_config, write_identity

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
[database]
new_certs_dir = new
database = index.txt
rand_serial = yes
unique_subject = no
policy = any
[any]
commonName = supplied
"""


@pytest.fixture
def openssl(tmp_path):
    """Run openssl in the test's folder → its output. The test fails if openssl fails."""
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
    """Make a certificate for a key. issuer: signs it; None: self-signed."""
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


def assert_usable(command, folder, name) -> None:
    """'microdps check' finds nothing wrong with the converted files."""
    device = folder / "device"
    write_identity(device, folder / "converted", "azure")
    write_config(device, {"id_scope": "0ne00111111", "registration_id": name})
    done = command("check", device)
    assert done.code == 0, done.out


def test_self_signed_of_the_how_to(openssl, command, phrase, monkeypatch):
    """RSA 4096, SHA-256, clientAuth, a pass-phrase: "Use X.509 certificates over HTTPS"."""
    openssl(
        *("req", "-outform", "PEM", "-x509", "-sha256", "-newkey", "rsa:4096", "-days", "30"),
        *("-keyout", "device-key.pem", "-out", "device-cert.pem", "-passout", f"pass:{PHRASE}"),
        *("-config", "openssl.cnf", "-addext", "basicConstraints=CA:FALSE"),
        *("-addext", "extendedKeyUsage=clientAuth", "-subj", "/CN=my-x509-device"),
    )
    plain = ("-in", "device-key.pem", "-passin", f"pass:{PHRASE}")
    openssl("rsa", *plain, "-out", "unencrypted-device-key.pem")
    folder = openssl.folder
    convert = ["certs", "convert", folder / "device-cert.pem", "--key"]
    done = command(*convert, folder / "device-key.pem", "--out", folder / "converted")
    assert done.code == 0, done.err
    assert "  key rsa-4096, extended key usage clientAuth, CA no" in done.out
    assert "  self-signed" in done.out
    assert_usable(command, folder, "my-x509-device")
    monkeypatch.delenv("MICRODPS_KEY_PASSPHRASE")
    assert "is encrypted" in command(*convert, folder / "device-key.pem", "--out", "x").refusal
    key = folder / "unencrypted-device-key.pem"
    assert command(*convert, key, "--out", folder / "plain").code == 0
    same = [(folder / where / "key.der").read_bytes() for where in ("converted", "plain")]
    assert same[0] == same[1]


def test_openssls_text_and_parameters_before_pem_are_ignored(openssl, command):
    folder = openssl.folder
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", "device.key.pem")
    assert "BEGIN EC PARAMETERS" in (folder / "device.key.pem").read_text()
    sign(openssl, "device", None, "client")
    text = openssl("x509", "-in", "device.cert.pem", "-text")
    (folder / "device.cert.pem").write_text(text)
    arguments = [folder / "device.cert.pem", "--key", folder / "device.key.pem"]
    assert command("certs", "convert", *arguments, "--out", folder / "converted").code == 0
    assert_usable(command, folder, "device")


def test_chain_of_the_how_tos_own_ca(openssl, command, phrase):
    """RSA 4096 and `openssl ca` with its database: "Create and provision devices with X.509"."""
    folder = openssl.folder
    (folder / "new").mkdir()
    (folder / "index.txt").write_text("")
    key(openssl, "root", "rsa:4096")
    sign(openssl, "root", None, "ca")
    for name, issuer, section in (
        ("intermediate", "root", "ca"),
        ("device-01", "intermediate", "client"),
    ):
        key(openssl, name, "rsa:4096")
        new = ["-new", "-sha256", "-key", f"{name}.key.pem", "-passin", f"pass:{PHRASE}"]
        subject = ["-subj", f"/CN={name}", "-config", "openssl.cnf"]
        openssl("req", *new, *subject, "-out", f"{name}.csr.pem")
        openssl(
            *("ca", "-batch", "-config", "openssl.cnf", "-name", "database", "-notext"),
            *("-cert", f"{issuer}.cert.pem", "-keyfile", f"{issuer}.key.pem"),
            *("-passin", f"pass:{PHRASE}", "-extensions", section, "-days", "30", "-md", "sha256"),
            *("-in", f"{name}.csr.pem", "-out", f"{name}.cert.pem"),
        )
    chain = folder / "device-01-full-chain.cert.pem"
    names = ("device-01", "intermediate", "root")
    chain.write_text("".join((folder / f"{name}.cert.pem").read_text() for name in names))
    shown = command("certs", "show", chain).out
    assert shown.count("  signed by the next one\n") == 2
    given = [chain, "--key", folder / "device-01.key.pem", "--out", folder / "converted"]
    assert command("certs", "convert", *given).code == 0
    assert_usable(command, folder, "device-01")
    # The how-to's issuer signs the next certificate.
    (folder / "converted").rename(folder / "device-01")
    issuer = ["--issuer-cert", folder / "intermediate.cert.pem"]
    issuer += ["--issuer-key", folder / "intermediate.key.pem"]
    done = command("certs", "renew", "device-01", "--out", folder, *issuer)
    assert done.code == 0, done.err
    by = ["-CAfile", "root.cert.pem", "-untrusted", "intermediate.cert.pem"]
    # It becomes valid one second after the last one, which may still be in the future.
    by += ["-attime", str(int(time.time()) + 2)]
    openssl("verify", *by, "-purpose", "sslclient", "device-01/b/cert.pem")


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
    assert ": 3 certificates" in done.out  # the root included, as the how-to has it
    assert_usable(command, folder, "device-01")
    # The same from separate files, and from DER.
    again = [folder / "device-01.cert.pem", "--key", folder / "device-01.key.pem"]
    again += ["--issuer", folder / "intermediate.cert.pem", "--issuer", folder / "root.cert.pem"]
    again += ["--out", folder / "again"]
    assert command("certs", "convert", *again).code == 0
    back = [folder / "again" / "cert.der", "--key", folder / "again" / "key.der"]
    assert command("certs", "convert", *back, "--out", folder / "back").code == 0
    for name in ("cert.der", "full-chain.pem", "key.der"):
        first = (folder / "converted" / name).read_bytes()
        assert (folder / "again" / name).read_bytes() == first
        assert (folder / "back" / name).read_bytes() == first


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_openssl_verifies_our_chain(openssl, command, key_type):
    folder = openssl.folder
    assert command("certs", "chain", "device-01", "--key", key_type, "--out", folder).code == 0
    by = ["-CAfile", "root.cert.pem", "-untrusted", "intermediate.cert.pem"]
    shown = openssl("verify", *by, "-purpose", "sslclient", "device-01/cert.pem")
    assert shown == "device-01/cert.pem: OK\n"
    openssl("verify", "-CAfile", "root.cert.pem", "intermediate.cert.pem")
    purposes = openssl("x509", "-in", "device-01/cert.pem", "-noout", "-purpose")
    assert "SSL client : Yes" in purposes
    assert "SSL server : No" in purposes


def test_openssl_opens_our_encrypted_key(openssl, command, phrase):
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
