"""certs show describes a certificate, a chain and a device's folder."""

import datetime
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from microdps_tools.certs import encoding
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import load_certs
from microdps_tools.certs.slots import SLOTS
from microdps_tools.device.config import write_identity

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def shown(command, tmp_path):
    """Show a file with these certificates → its lines."""

    def run(*given) -> list[str]:
        file = tmp_path / "given.pem"
        file.write_bytes(encoding.pem(*given))
        done = command("certs", "show", file)
        assert (done.code, done.err) == (0, "")
        return done.out.splitlines()

    return run


def openssl(*arguments) -> str:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True)
    return done.stdout.strip()


def test_every_line_of_a_chain(command, made):
    file = made / "device-01" / "full-chain.pem"
    done = command("certs", "show", file)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:3] == [
        f"{file}: 2 certificates",
        "- subject CN=device-01",
        "  issuer CN=microdps test intermediate",
    ]
    cert, issuer = load_certs(file)
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    assert lines[3] == f"  valid {begin:%F %T} to {end:%F %T} UTC, 364 days left"
    assert lines[4] == "  key ec-p256, extended key usage clientAuth, CA no"
    assert lines[8] == "  signed by the next one"
    assert lines[12] == "  key ec-p256, extended key usage any, CA yes"
    size = 7 + sum(len(encoding.der(one)) + 3 for one in (cert, issuer))
    assert lines[16:] == [f"  in TLS: {size} of the 4096 bytes that a device can send"]


def test_thumbprints_and_serial_are_those_of_openssl(made, shown):
    file = made / "device-01" / "cert.pem"
    text = shown(*load_certs(file))
    for option, word in (("-sha1", "sha1"), ("-sha256", "sha256")):
        said = openssl("x509", "-in", file, "-noout", "-fingerprint", option)
        assert f"  {word} {said.partition('=')[2].replace(':', '').lower()}" in text
    serial = openssl("x509", "-in", file, "-noout", "-serial").partition("=")[2]
    assert f"  serial {serial.lower().lstrip('0')}" in text


@pytest.mark.parametrize(
    ("issued", "text"),
    [
        ({"start": NOW - 30 * DAY, "days": 10}, "UTC, EXPIRED"),
        ({"start": NOW + 2 * DAY, "days": 10}, "UTC, NOT VALID YET"),
        ({"days": 10}, "UTC, 9 days left"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "extended key usage serverAuth, CA no"),
        ({"usage": ExtendedKeyUsageOID.CODE_SIGNING}, "usage 1.3.6.1.5.5.7.3.3, CA no"),
        ({"ca": True}, "CA yes"),
        ({"key_type": "rsa-2048"}, "key rsa-2048,"),
        ({"key_type": "ec-p384"}, "key ec-p384,"),
    ],
)
def test_details_of_a_certificate(shown, issued, text):
    lines = shown(issue("one", **issued).cert)
    assert [line for line in lines if text in line], lines
    assert "  self-signed" in lines


def test_issuer_that_did_not_sign(shown):
    impostor = issue("issuer", ca=True)
    leaf = issue("leaf", issue("issuer", ca=True))
    assert "  NOT SIGNED by the next one" in shown(leaf.cert, impostor.cert)


def test_all_certificates_are_counted(shown):
    root = issue("root", ca=True)
    leaf = issue("leaf", root)
    size = 7 + len(encoding.der(leaf.cert, root.cert)) + 6
    expected = f"  in TLS: {size} of the 4096 bytes that a device can send"
    assert shown(leaf.cert, root.cert)[-1] == expected


def test_chain_too_long_for_a_device(shown):
    issuers = [issue("root", ca=True)]
    for number in range(13):
        issuers.append(issue(f"issuer {number}", issuers[-1], ca=True))
    lines = shown(*(pair.cert for pair in reversed(issuers)))
    assert lines[-1].endswith(": TOO MANY")


def test_certificate_folder_and_its_key(command, made):
    folder = made / "device-01"
    done = command("certs", "show", folder)
    assert done.out.startswith(f"{folder / 'cert.der'}: 2 certificates\n")
    assert done.out.splitlines()[-1] == f"  {folder / 'key.der'} belongs to it"
    (folder / "key.der").write_bytes(encoding.key_der(issue("another").key))
    done = command("certs", "show", folder)
    assert done.out.splitlines()[-1] == f"  {folder / 'key.der'} DOES NOT BELONG to it"


def test_device_folder_with_two_slots(command, made, tmp_path):
    for slot in SLOTS:
        write_identity(tmp_path / "device", made / "device-01", str(made / "root.cert.pem"), slot)
    done = command("certs", "show", tmp_path / "device")
    for slot in SLOTS:
        assert f"{tmp_path / 'device' / 'identity' / slot / 'cert.der'}: 2 cert" in done.out


def test_several_files(command, made):
    done = command("certs", "show", made / "root.cert.pem", made / "intermediate.cert.pem")
    assert done.out.count(": 1 certificate\n") == 2


def test_folder_without_certificates(command, tmp_path):
    assert "name a file" in command("certs", "show", tmp_path).refusal


def test_key_of_an_unsupported_type(tmp_path, command):
    key = ed25519.Ed25519PrivateKey.generate()
    authority = issue("root", ca=True)
    file = tmp_path / "cert.pem"
    file.write_bytes(encoding.pem(issue("leaf", authority, key=key).cert))
    assert "  key Ed25519PublicKey, " in command("certs", "show", file).out


def test_unreadable_extension(tmp_path, command):
    data = encoding.der(issue("leaf").cert)
    usage = b"\x55\x1d\x25\x04\x0c\x30"  # extendedKeyUsage, and the SEQUENCE in it
    assert usage in data
    file = tmp_path / "cert.der"
    file.write_bytes(data.replace(usage, usage[:-1] + b"\x31", 1))
    refusal = command("certs", "show", file)
    assert refusal.code == 1
    assert "the certificate of 'leaf' cannot be read" in refusal.err
