"""certs batch: many devices, each signed once, whatever happens on the way."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from microdps_tools import CHECKOUT
from microdps_tools.certs import batch as certs_batch
from microdps_tools.certs import keys as certs_keys
from microdps_tools.certs import making as certs

FILES = set(certs.FILES)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "certs"


@pytest.fixture
def csv(tmp_path):
    """Write a CSV file → its path."""

    def write(text) -> object:
        path = tmp_path / "devices.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def ids(count, first=0) -> str:
    return "registration_id\n" + "".join(f"device-{n}\n" for n in range(first, count))


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def whole(out, name) -> None:
    """The folder of a device: all files, the key belongs to the leaf, the intermediate signed."""
    assert {path.name for path in (out / name).iterdir()} == FILES
    pair = certs.load_pair(out / name / "cert.pem", out / name / "key.der")
    assert certs.common_name(pair.cert) == name
    assert certs.signed_by(pair.cert, certs.load_certs(out / "intermediate.cert.pem")[0])


def test_all_devices_of_a_file(command, out, csv):
    text = '\ufeffplace,registration_id\r\n"roof, north",device-0\r\n\r\n,  Device-1 \r\n'
    done = command("certs", "batch", csv(text), "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{out}: 2 certificates made, 0 were there\n"
    for name in ("device-0", "Device-1"):
        whole(out, name)


def test_second_run_makes_what_is_new_and_touches_nothing_else(command, out, csv):
    assert command("certs", "batch", csv(ids(3)), "--out", out).code == 0
    before = contents(out)
    done = command("certs", "batch", csv(ids(5)), "--out", out)
    assert done.out == f"{out}: 2 certificates made, 3 were there\n"
    after = contents(out)
    assert {path: after[path] for path in before} == before
    whole(out, "device-4")


def test_device_that_is_there_in_another_case_is_not_signed_again(command, out, csv):
    command("certs", "chain", "DEVICE-0", "--out", out)
    done = command("certs", "batch", csv(ids(2)), "--out", out)
    assert done.out == f"{out}: 1 certificates made, 1 were there\n"
    assert not (out / "device-0").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: there is no column registration_id"),
        ("name\na\n", "line 1: there is no column registration_id"),
        ("registration_id\n", "names no device"),
        ("registration_id\nok-1\nnot ok\n", "line 3: 'not ok' is no registration ID"),
        ("registration_id,x\nok-1,\n,1\n", "line 3: '' is no registration ID"),
        (f"registration_id\n{'x' * 65}\n", "line 2: 'xxx"),
        ("registration_id\n../x\n", "line 2: '../x' is no registration ID"),
        ("registration_id\na\nb\nA\n", "line 4: 'A' is in line 2 already"),
        ("registration_id\na\na\n", "line 3: 'a' is in line 2 already"),
        ('registration_id\n"a\n', "line 2: "),
        ("x,registration_id\nroof, north,a\n", "line 2: there are more fields than columns"),
        (b"registration_id\n\xff\n", "is no UTF-8"),
    ],
)
def test_file_that_is_wrong_signs_nothing(command, out, csv, text, told):
    path = csv(text)
    refusal = command("certs", "batch", path, "--out", out).refusal
    assert told in refusal
    assert str(path) in refusal
    assert not out.exists()


def test_file_that_is_not_there(command, out, tmp_path):
    path = tmp_path / "none.csv"
    refusal = command("certs", "batch", path, "--out", out).refusal
    assert refusal == f"microdps: cannot read {path}: No such file or directory\n"


@pytest.mark.parametrize("missing", sorted(FILES))
def test_folder_that_is_not_whole_is_told_before_anything_is_signed(command, out, csv, missing):
    command("certs", "chain", "device-2", "--out", out)
    (out / "device-2" / missing).unlink()
    before = contents(out)
    refusal = command("certs", "batch", csv(ids(4)), "--out", out).refusal
    assert f"{out / 'device-2'} has no {missing}: move it away" in refusal
    assert contents(out) == before


def test_full_disk_stops_it_and_leaves_whole_folders(command, out, csv, monkeypatch):
    path = csv(ids(5))
    opened = os.open
    signed = []

    def full(name, *given, **more):
        if ".device-3~" in str(name) and "cert.pem" in str(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(name, *given, **more)

    issue = certs.issue
    monkeypatch.setattr(
        certs, "issue", lambda name, *a, **k: signed.append(name) or issue(name, *a, **k)
    )
    monkeypatch.setattr(os, "open", full)
    assert "No space left on device" in command("certs", "batch", path, "--out", out).refusal
    monkeypatch.undo()
    assert signed[2:] == ["device-0", "device-1", "device-2", "device-3"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == signed[2:5]
    done = command("certs", "batch", path, "--out", out)
    assert done.out == f"{out}: 2 certificates made, 3 were there\n"


def test_killed_run_leaves_whole_folders_and_goes_on(command, out, csv):
    path = csv(ids(3000))
    arguments = ["certs", "batch", str(path), "--out", str(out)]
    process = [sys.executable, "-m", "microdps_tools", *arguments]
    seen: dict = {}
    for _ in range(3):
        with subprocess.Popen(process, cwd=CHECKOUT) as run:
            deadline = time.monotonic() + 20
            while len(list(out.glob("device-*"))) < len(seen) + 5:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            run.send_signal(signal.SIGKILL)
        devices = list(out.glob("device-*"))
        assert all({file.name for file in device.iterdir()} == FILES for device in devices)
        now = {device: (device / "cert.der").read_bytes() for device in devices}
        assert {device: now[device] for device in seen} == seen
        seen = now
    csv(ids(len(seen) + 10))
    before = contents(out)
    done = command(*arguments)
    assert done.code == 0
    assert not list(out.glob(".device-*~"))
    assert all(path.read_bytes() == before[path] for path in before if "~" not in str(path))


def test_two_runs_at_once_are_refused(command, out, csv):
    fcntl = pytest.importorskip("fcntl")
    command("certs", "chain", "device-0", "--out", out)
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        refusal = command("certs", "batch", csv(ids(2)), "--out", out).refusal
        assert f"another run signs into {out}" in refusal
    finally:
        os.close(folder)
    assert command("certs", "batch", csv(ids(2)), "--out", out).code == 0


def test_issuer_that_cannot_sign_stops_it_at_once(command, out, csv, monkeypatch):
    command("certs", "chain", "unused", "--out", out)
    (out / "intermediate.key.pem").write_text("no key")
    assert "intermediate.key.pem" in command("certs", "batch", csv(ids(2)), "--out", out).refusal
    assert not list(out.glob("device-*"))


def test_issuer_that_has_expired_signs_nothing(command, out, csv):
    start = certs.datetime.datetime(2020, 1, 1, tzinfo=certs.datetime.UTC)
    pair = certs.issue("intermediate", ca=True, days=30, start=start)
    name = "intermediate"
    files = {f"{name}.cert.pem": certs.pem(pair.cert), f"{name}.key.pem": certs.key_pem(pair)}
    certs.write_new(out, files)
    refusal = command("certs", "batch", csv(ids(2)), "--out", out).refusal
    assert "expired on 2020-01-31" in refusal
    assert not list(out.glob("device-*"))


def test_keys_are_encrypted_on_request(command, out, csv, monkeypatch):
    monkeypatch.setenv(certs_keys.PASSPHRASE, "1234")
    assert command("certs", "batch", csv(ids(1)), "--out", out, "--encrypt").code == 0
    assert b"ENCRYPTED" in (out / "device-0" / "key.pem").read_bytes()
    whole(out, "device-0")


def test_progress_without_a_terminal_is_lines(command, out, csv, monkeypatch):
    monkeypatch.setattr(certs_batch, "EVERY_S", 0)
    done = command("certs", "batch", csv(ids(3)), "--out", out)
    assert done.err == "".join(f"certificates: {n} of 3\n" for n in range(3))


def test_progress_on_a_terminal_is_a_bar(out, csv, tmp_path):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    arguments = ["certs", "batch", str(csv(ids(3))), "--out", str(out)]
    command = [sys.executable, "-m", "microdps_tools", *arguments]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=theirs) as run:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 1000)
            except OSError:  # it has ended
                break
            if not part:
                break
            said += part
        printed = run.stdout.read()
    os.close(ours)
    assert b"3/3" in said
    assert printed == f"{out}: 3 certificates made, 0 were there\n".encode()
