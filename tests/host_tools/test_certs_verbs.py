"""certs show, renew, prove, batch, and keys with a pass-phrase."""

import datetime

import pytest

from host_tools import batch, certs, config
from host_tools.certs_verbs import renew

SECRET = "correct horse"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "certs"


def made(command, *arguments):
    done = command("certs", *arguments)
    assert done.code == 0, done.err
    return done.out


def test_show_a_chain(command, out):
    made(command, "chain", "device-01", "--days", "30", "--out", out)
    shown = made(command, "show", out / "device-01", out / "root.cert.pem")
    lines = shown.splitlines()
    assert lines[0] == "CN=device-01, issued by CN=microdps test intermediate"
    assert ", 29 days left" in lines[1]
    assert "EC secp256r1, for clientAuth, serial " in lines[2]
    leaf = certs.load_certs(out / "device-01" / "cert.pem")[0]
    assert lines[4] == f"  sha256 {leaf.fingerprint(certs.hashes.SHA256()).hex()}"
    assert lines[5] == "  signed by the next one"
    assert "a CA" in lines[8]
    size = 7 + sum(
        len(certs.der(cert)) + 3 for cert in certs.load_certs(out / "device-01" / "cert.der")
    )
    assert f"2 certificates, {size} of 4096 bytes: fits a board" in shown


def test_show_what_is_wrong(command, out, tmp_path):
    made(command, "chain", "device-01", "--out", out)
    path = tmp_path / "wrong.pem"
    leaf = certs.load_certs(out / "device-01" / "cert.pem")[0]
    path.write_bytes(certs.pem(leaf, *certs.load_certs(out / "root.cert.pem")))
    assert "  NOT signed by the next one" in made(command, "show", path)
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=9)
    path.write_bytes(certs.pem(certs.issue("old", days=1, start=start).cert))
    assert ", EXPIRED" in made(command, "show", path)
    path.write_bytes(certs.pem(*[leaf] * 20))
    assert "DOES NOT FIT a board" in made(command, "show", path)
    assert "cannot read a certificate" in command("certs", "show", tmp_path / "none").refusal
    (tmp_path / "empty").mkdir()
    assert "name a file" in command("certs", "show", tmp_path / "empty").refusal


def test_convert_refuses_what_does_not_belong_together(command, out, tmp_path):
    made(command, "chain", "device-01", "--out", out)
    made(command, "chain", "device-02", "--out", out)
    given = ["convert", out / "device-01" / "cert.pem", "--out", tmp_path / "to", "--key"]
    assert "is not the key of" in command("certs", *given, out / "device-02" / "key.pem").refusal
    issuer = ["--issuer", out / "root.cert.pem"]
    done = command("certs", *given, out / "device-01" / "key.pem", *issuer)
    assert "is not signed by microdps test root" in done.refusal
    assert not (tmp_path / "to").exists()
    made(command, *given, out / "device-01" / "key.pem")
    assert "--force" in command("certs", *given, out / "device-01" / "key.pem").refusal


def test_encrypted_key(command, out, tmp_path, monkeypatch):
    phrase = tmp_path / "phrase"
    phrase.write_text(f"{SECRET}\n")
    asked = ["--encrypt", "--passphrase-file", phrase, "--out", out]
    assert "needs a pass-phrase" in command("certs", "chain", "a", "--encrypt").refusal
    made(command, "self-signed", "device-01", *asked)
    key = out / "device-01" / "key.pem"
    assert "ENCRYPTED" in key.read_text()
    given = ["convert", out / "device-01" / "cert.pem", "--key", key, "--out", tmp_path / "to"]
    refusal = command("certs", *given).refusal
    assert "is encrypted: set MICRODPS_KEY_PASSPHRASE" in refusal
    monkeypatch.setenv("MICRODPS_KEY_PASSPHRASE", "wrong")
    refusal = command("certs", *given).refusal
    assert "the pass-phrase does not open it" in refusal
    assert "wrong" not in refusal
    monkeypatch.setenv("MICRODPS_KEY_PASSPHRASE", SECRET)
    made(command, *given)
    assert (tmp_path / "to" / "key.der").read_bytes() == (
        out / "device-01" / "key.der"
    ).read_bytes()
    # A pass-phrase that is set does no harm where a key has none.
    made(command, *given[:-3], tmp_path / "to" / "key.pem", "--out", tmp_path / "again")
    phrase.write_text("")
    assert "is empty" in command("certs", *given, "--passphrase-file", phrase).refusal
    phrase.unlink()
    assert (
        "cannot read the pass-phrase"
        in command("certs", *given, "--passphrase-file", phrase).refusal
    )


def test_key_that_is_no_key(command, out, tmp_path):
    made(command, "self-signed", "device-01", "--out", out)
    path = tmp_path / "key"
    given = ["convert", out / "device-01" / "cert.pem", "--out", tmp_path / "to", "--key", path]
    for content in (b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"):
        path.write_bytes(content)
        assert f"cannot read the private key {path}" in command("certs", *given).refusal


@pytest.mark.parametrize("kind", ["chain", "self-signed"])
def test_renewed_certificate_goes_into_slot_b(command, out, tmp_path, kind):
    made(command, kind, "device-01", "--out", out)
    shown = made(command, "renew", "device-01", "--out", out)
    assert f"next: microdps config --identity {out / 'device-01' / 'b'} --slot b" in shown
    old, new = (certs.load_certs(out / "device-01" / p / "cert.pem")[0] for p in ("", "b"))
    assert certs.common_name(new) == "device-01"
    assert new.not_valid_before_utc > old.not_valid_before_utc
    assert new.not_valid_before_utc <= datetime.datetime.now(datetime.UTC)
    assert new.public_key() != old.public_key()
    chain = certs.load_certs(out / "device-01" / "b" / "cert.der")
    assert len(chain) == (2 if kind == "chain" else 1)
    assert certs.signed_by(new, chain[-1])
    config.write_identity(tmp_path / "device", out / "device-01", "azure")
    config.write_identity(tmp_path / "device", out / "device-01" / "b", None, "b")
    assert "--force" in command("certs", "renew", "device-01", "--out", out).refusal


def test_renewed_with_the_old_key(command, out):
    made(command, "chain", "device-01", "--key", "ec-p384", "--out", out)
    made(command, "renew", "device-01", "--keep-key", "--out", out)
    old, new = (certs.load_certs(out / "device-01" / p / "cert.pem")[0] for p in ("", "b"))
    assert new.public_key() == old.public_key()
    folder = out / "device-01"
    assert (folder / "b" / "key.der").read_bytes() == (folder / "key.der").read_bytes()


def test_renewed_by_another_intermediate_is_refused(command, out, tmp_path):
    made(command, "chain", "device-01", "--out", out)
    made(command, "chain", "device-01", "--out", tmp_path / "others")
    with pytest.raises(certs.ToolError, match="has not signed"):
        renew(out / "device-01", tmp_path / "others", 30, False, False, None)
    assert not (out / "device-01" / "b").exists()


@pytest.mark.parametrize("code", ["", "a b", "x" * 65, "a/b"])
def test_code_that_is_none(command, out, code):
    made(command, "chain", "device-01", "--out", out)
    ca = ["--cert", out / "root.cert.pem", "--key", out / "root.key.pem"]
    assert "is no verification code" in command("certs", "prove", code, *ca).refusal


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "devices.csv"
        path.write_text(text)
        return path

    return write


def test_batch(command, out, csv):
    path = csv("site,registration_id\nroof,device-1\ncellar,device-2\n\nroof,Device-3\n")
    assert "3 certificates made, 0 were there" in made(command, "batch", path, "--out", out)
    before = {p: p.read_bytes() for p in out.glob("*/*")}
    path.write_text(path.read_text() + "attic,device-4\n")
    assert "1 certificates made, 3 were there" in made(command, "batch", path, "--out", out)
    assert all(p.read_bytes() == content for p, content in before.items())
    leaf, issuer = certs.load_certs(out / "device-4" / "cert.der")
    assert certs.common_name(leaf) == "device-4"
    assert certs.signed_by(leaf, issuer)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no column"),
        ("name\na\n", "has no column 'registration_id'"),
        ("registration_id\n", "names no device"),
        ("registration_id\nok-1\nnot ok\n", "line 3: 'not ok' is no registration ID"),
        ("registration_id,x\nok-1,\n,1\n", "line 3: '' is no registration ID"),
        ("registration_id\na\nb\nA\n", "line 4: A is in line 2 already"),
        ('registration_id\n"a\n', "cannot read"),
        (f"registration_id\n{'x' * 65}\n", "is no registration ID"),
    ],
)
def test_csv_that_is_wrong_signs_nothing(command, out, csv, text, told):
    refusal = command("certs", "batch", csv(text), "--out", out).refusal
    assert told in refusal
    assert not out.exists()


def test_batch_that_is_broken_off_goes_on(command, out, csv, monkeypatch):
    """At a device in the middle, with the disk full: nothing of it is left, the others stay."""
    path = csv("registration_id\n" + "".join(f"device-{n}\n" for n in range(5)))
    write = certs.write_new

    def full(folder, files, force=False):
        if folder.name == ".device-3.new":
            folder.mkdir()
            (folder / "key.pem").write_bytes(b"half")
            raise certs.ToolError(f"cannot write to {folder}: No space left on device")
        write(folder, files, force)

    monkeypatch.setattr(certs, "write_new", full)
    assert "No space left" in command("certs", "batch", path, "--out", out).refusal
    assert sorted(p.name for p in out.glob("*device*")) == ["device-0", "device-1", "device-2"]
    monkeypatch.undo()
    (out / ".device-3.new").mkdir()  # what a kill -9 leaves
    assert "2 certificates made, 3 were there" in made(command, "batch", path, "--out", out)
    assert not list(out.glob(".*"))


def test_folder_that_is_not_whole_is_told(command, out, csv):
    path = csv("registration_id\ndevice-1\n")
    (out / "device-1").mkdir(parents=True)
    assert "is not whole" in command("certs", "batch", path, "--out", out).refusal


def test_every_device_is_signed_once(out, csv, monkeypatch):
    path = csv("registration_id\n" + "".join(f"device-{n}\n" for n in range(20)))
    signed = []
    issue = certs.issue
    monkeypatch.setattr(
        certs, "issue", lambda name, *a, **k: signed.append(name) or issue(name, *a, **k)
    )
    for _ in range(2):
        batch.run(path, out, "ec-p256", 30)
    assert len(signed) == len(set(signed)) == 22  # with the root and the intermediate
