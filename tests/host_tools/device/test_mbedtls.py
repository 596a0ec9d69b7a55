"""What a board's TLS refuses is named before it is flashed: extension, algorithm or encoding."""

import subprocess

import pytest

from microdps_tools import ToolError, interpreter
from microdps_tools.certs.certificate_folder import make_self_signed
from microdps_tools.device.config import write_config, write_identity

NAME = "device-01"
EC = ("ecparam", "-name", "prime256v1", "-genkey", "-noout")
EXTENSIONS = {
    "nameConstraints": "nameConstraints=critical,permitted;DNS:example.com",
    "certificatePolicies": "certificatePolicies=critical,1.2.3.4",
    "policyConstraints": "policyConstraints=critical,requireExplicitPolicy:3",
    "inhibitAnyPolicy": "inhibitAnyPolicy=critical,2",
    "1.2.3.4.5": "1.2.3.4.5=critical,ASN1:NULL",
}


@pytest.fixture
def odd(tmp_path):
    """Make a certificate with openssl → its file and its key's file."""

    def make(name: str, key: tuple, *options: str):
        def openssl(*arguments):
            words = ["openssl", *map(str, arguments)]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

        openssl(*key, "-out", f"{name}.key.pem")
        subject = ("-subj", f"/CN={NAME}", "-days", "90", "-out", f"{name}.pem")
        openssl("req", "-x509", "-new", "-key", f"{name}.key.pem", *subject, *options)
        return tmp_path / f"{name}.pem", tmp_path / f"{name}.key.pem"

    return make


KINDS = {
    **{word: (EC, ["-addext", text], word) for word, text in EXTENSIONS.items()},
    "RSA-PSS": (
        ("genpkey", "-algorithm", "rsa"),
        ["-sigopt", "rsa_padding_mode:pss"],
        "RSASSA-PSS",
    ),
    "RSA-PSS key": (("genpkey", "-algorithm", "rsa-pss"), [], "RSA-PSS alone"),
    "explicit": ((*EC, "-param_enc", "explicit"), [], "explicit EC parameters"),
    "Ed25519": (("genpkey", "-algorithm", "ed25519"), [], "EdDSA"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["leaf", "root"])
def test_certificate_that_openssl_takes_and_a_board_refuses(command, odd, tmp_path, kind, place):
    key, options, word = KINDS[kind]
    if place == "leaf" and kind == "Ed25519":
        pytest.skip("no device's key may be of this kind")
    cert, key_file = odd("odd", key, *options)
    good = make_self_signed(NAME, tmp_path / "certs", "ec-p256", 90, False)
    folder, identity, roots = tmp_path / "device", good, good / "cert.pem"
    if place == "leaf":
        identity = tmp_path / "converted"
        given = ("certs", "convert", cert, "--key", key_file, "--out", identity)
        assert command(*given).code == 0
    else:
        roots = cert
    given = ("--id-scope", "0ne00111111", "--registration-id", NAME, "--host", "dps.example")
    done = command("config", "--out", folder, *given, "--identity", identity, "--roots", roots)
    checked = command("check", folder)
    for one in (done, checked):
        assert one.code == 1, one.out + one.err
        place_name = "cert.der" if place == "leaf" else "roots.der"
        assert f"refuses the certificate of {NAME!r} in {place_name}" in one.out
        assert word in one.out


def test_without_micropython_it_is_said_that_this_was_not_tried(command, tmp_path, monkeypatch):
    made = make_self_signed(NAME, tmp_path / "certs", "ec-p256", 90, False)
    write_identity(tmp_path / "device", made, str(made / "cert.pem"))
    settings = {"id_scope": "0ne00111111", "registration_id": NAME, "host": "dps.example"}
    write_config(tmp_path / "device", settings)

    def missing(*_):
        raise ToolError("MicroPython is not installed in this environment: run 'make setup'")

    monkeypatch.setattr(interpreter, "micropython", missing)
    done = command("check", tmp_path / "device")
    assert done.code == 0
    assert done.out.startswith("note: this was not tried with a board's TLS")
