"""Certificates and keys are read from every form of file that people have."""

import base64
import random
import subprocess
import sys

import pytest

from microdps_tools.certs import encoding
from microdps_tools.certs.keys import PASSPHRASE_VARIABLE
from microdps_tools.certs.reading import load_certs

NAME = "device-01"
MODULE = (sys.executable, "-m", "microdps_tools")


def trusted(text: str) -> str:
    """The first certificate in openssl's trusted form, which has more data at its end."""
    done = subprocess.run(
        ["openssl", "x509", "-trustout", "-addtrust", "clientAuth"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "BEGIN TRUSTED" in done.stdout
    return done.stdout + text[text.index("-----END CERTIFICATE-----") + 26 :]


FORMS = {
    "bom": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16, big endian": lambda text: text.encode("utf-16-be"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "double quotes": lambda text: f'"{text}"'.encode(),
    "single quotes": lambda text: f"'{text}'\n".encode(),
    "blanks": lambda text: text.replace("\n", "  \n   ").encode(),
    "all on one line": lambda text: text.replace("\n", " ").encode(),
    "empty lines": lambda text: text.replace("\n", "\n\n").encode(),
    "text around": lambda text: f"Bag Attributes\n  x: y\n{text}\nsubject=\n".encode(),
    "written on one line": lambda text: text.replace("\n", "\\n").encode(),
    "bare base64 of PEM": lambda text: base64.b64encode(text.encode()),
    "openssl's trusted form": lambda text: trusted(text).encode(),
    "openssl's other label": lambda text: text.replace("CERTIFICATE", "X509 CERTIFICATE").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_chain_in_every_form_of_pem(command, files, tmp_path, form):
    file = files("given", FORMS[form](files.text))
    done = command("certs", "convert", file, "--key", files.key, "--out", tmp_path / "o")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "o" / "cert.der").read_bytes() == files.der


@pytest.mark.parametrize("form", [form for form in FORMS if "openssl" not in form])
def test_key_in_every_form_of_pem(command, files, tmp_path, form):
    key = files("given", FORMS[form](files.key.read_text()))
    done = command("certs", "convert", files.chain, "--key", key, "--out", tmp_path / "o")
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("line", [64, 10_000])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bare_base64(files, line, mark):
    text = base64.b64encode(encoding.der(files.certs[0])).decode()
    lines = [text[at : at + line] for at in range(0, len(text), line)]
    assert load_certs(files("a.cer", mark + "\r\n".join(lines).encode())) == files.certs[:1]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\n"])
def test_der_one_after_the_other(files, end):
    assert load_certs(files("a.der", files.der + end)) == files.certs


def test_chain_in_any_order_and_the_leaf_twice(command, files, tmp_path):
    leaf, issuer = files.certs
    for number, order in enumerate(([issuer, leaf], [leaf, leaf, issuer], [issuer, issuer, leaf])):
        file = files("given.pem", encoding.pem(*order))
        out = tmp_path / str(number)
        assert command("certs", "convert", file, "--key", files.key, "--out", out).code == 0
        assert (out / "cert.der").read_bytes() == files.der


def test_key_and_chain_in_one_file(command, files, tmp_path):
    file = files("all.pem", files.chain.read_bytes() + files.key.read_bytes())
    assert command("certs", "convert", file, "--out", tmp_path / "o").code == 0
    assert (tmp_path / "o" / "cert.der").read_bytes() == files.der


def test_ec_parameters_before_the_key(command, run_openssl, tmp_path):
    run_openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", "key.pem")
    run_openssl("req", "-x509", "-new", "-key", "key.pem", "-subj", "/CN=a", "-out", "a.pem")
    given = (tmp_path / "a.pem", "--key", tmp_path / "key.pem", "--out", tmp_path / "o")
    assert command("certs", "convert", *given).code == 0


def test_key_of_ssh_keygen(command, run_openssl, tmp_path):
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-t", "ecdsa", "-b", "256", "-N", "", "-q", "-f", key], check=True
    )
    done = command("certs", "convert", tmp_path / "key.pub", "--key", key, "--out", tmp_path / "o")
    assert "it is an SSH public key" in done.refusal


@pytest.mark.parametrize("legacy", [[], ["-legacy"]])
@pytest.mark.parametrize("phrase", ["right", ""])
def test_pfx_gives_key_certificate_and_chain(
    command, files, run_openssl, tmp_path, monkeypatch, legacy, phrase
):
    run_openssl(
        *("pkcs12", "-export", "-in", files.chain, "-inkey", files.key, *legacy),
        *("-passout", f"pass:{phrase}", "-out", "device.pfx"),
    )
    pfx = tmp_path / "device.pfx"
    monkeypatch.setenv(PASSPHRASE_VARIABLE, phrase)
    for number, given in enumerate(([], ["--key", pfx])):
        out = tmp_path / str(number)
        done = command("certs", "convert", pfx, *given, "--out", out)
        assert (done.code, done.err) == (0, "")
        assert (out / "cert.der").read_bytes() == files.der
    assert command("certs", "show", pfx).out.startswith(f"{pfx}: 2 certificates\n")


def test_pfx_without_its_passphrase(command, files, run_openssl, tmp_path, monkeypatch):
    given = ("-in", files.chain, "-inkey", files.key, "-passout", "pass:right")
    run_openssl("pkcs12", "-export", *given, "-out", "device.pfx")
    convert = ("certs", "convert", tmp_path / "device.pfx", "--out", tmp_path / "o")
    refusal = command(*convert).refusal
    assert "is a PKCS#12 file (.pfx), encrypted" in refusal and "--passphrase-file" in refusal
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    assert "does not open: check the pass-phrase" in command(*convert).refusal
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("encoded", ["utf-8", "utf-8-sig", "utf-16"])
def test_passphrase_file_of_notepad(command, files, run_openssl, tmp_path, encoded):
    given = ("-in", files.chain, "-inkey", files.key, "-passout", "pass:right")
    run_openssl("pkcs12", "-export", *given, "-out", "device.pfx")
    phrase = files("phrase.txt", "right\r\n".encode(encoded))
    given = (tmp_path / "device.pfx", "--passphrase-file", phrase, "--out", tmp_path / "o")
    assert command("certs", "convert", *given).code == 0


def test_certificate_that_does_not_belong_to_the_chain(command, files, made, tmp_path):
    given = ("certs", "self-signed", "another", "--out", tmp_path)
    assert command(*given).code == 0
    other = (tmp_path / "another" / "cert.pem").read_bytes()
    file = files("given.pem", files.chain.read_bytes() + other)
    refusal = command(
        "certs", "convert", file, "--key", files.key, "--out", tmp_path / "o"
    ).refusal
    assert "is not signed by another" in refusal
    assert not (tmp_path / "o").exists()


def test_damaged_certificate(command, files, plain):
    der = bytearray(encoding.der(files.certs[0]))
    der[4:8] = b"\0\0\0\0"
    path = files("bad.pem", b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)))
    path.write_bytes(path.read_bytes() + b"-----END CERTIFICATE-----\n")
    refusal = command("certs", "show", path).refusal
    assert "damaged" in refusal
    plain(refusal)


def test_warnings_of_libraries_are_not_shown(run_openssl, tmp_path):
    """cryptography warns about a serial number that is not positive."""
    run_openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    given = ("-key", "key.pem", "-subj", "/CN=a", "-set_serial", "0", "-out", "a.pem")
    run_openssl("req", "-x509", "-new", *given)
    words = ["certs", "show", tmp_path / "a.pem"]
    done = subprocess.run([*MODULE, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_folder_instead_of_a_file(command, files, tmp_path):
    given = ("certs", "convert", files.chain, "--key", tmp_path, "--out", tmp_path / "o")
    assert "Is a directory" in command(*given).refusal


@pytest.mark.parametrize("seed", range(60))
def test_random_bytes_give_a_refusal_and_nothing_else(command, files, plain, seed):
    choose = random.Random(seed)  # noqa: S311
    data = bytearray(files.der if seed % 2 else files.chain.read_bytes())
    for _ in range(1 + seed // 6):
        data[choose.randrange(len(data))] = choose.randrange(256)
    path = files("random", bytes(data[: choose.randrange(1, len(data) + 1)]))
    done = command("certs", "show", path)
    assert done.code in (0, 1)
    assert not done.code or done.err.startswith("microdps: ") and done.err.count("\n") == 1
    plain(done.err)
