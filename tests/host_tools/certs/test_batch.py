"""certs batch signs each device once, also after a full disk or a killed run."""

import datetime
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from microdps_tools import CHECKOUT
from microdps_tools.certs import batch, ca, certificate_folder, encoding, keys
from microdps_tools.certs.making import issue
from microdps_tools.certs.reading import common_name, load_cert_and_key, load_certs, signed_by
from microdps_tools.files import locked, write_files

FILES = set(certificate_folder.FILES)


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


def assert_complete(out, name) -> None:
    """A device's folder has all files, its key matches, and the intermediate signed it."""
    assert {path.name for path in (out / name).iterdir()} == FILES
    pair = load_cert_and_key(out / name / "cert.pem", out / name / "key.der")
    assert common_name(pair.cert) == name
    assert signed_by(pair.cert, load_certs(out / "intermediate.cert.pem")[0])


def test_all_devices_of_a_file(command, out, csv):
    text = '\ufeffplace,registration_id\r\n"roof, north",device-0\r\n\r\n,  Device-1 \r\n'
    done = command("certs", "batch", csv(text), "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{out}: 2 certificates made, 0 existed\n"
    for name in ("device-0", "Device-1"):
        assert_complete(out, name)


def test_second_run_makes_only_the_new_devices(command, out, csv):
    assert command("certs", "batch", csv(ids(3)), "--out", out).code == 0
    before = contents(out)
    done = command("certs", "batch", csv(ids(5)), "--out", out)
    assert done.out == f"{out}: 2 certificates made, 3 existed\n"
    after = contents(out)
    assert {path: after[path] for path in before} == before
    assert_complete(out, "device-4")


def test_existing_device_in_another_case_is_not_signed_again(command, out, csv):
    command("certs", "chain", "DEVICE-0", "--out", out)
    done = command("certs", "batch", csv(ids(2)), "--out", out)
    assert done.out == f"{out}: 1 certificates made, 1 existed\n"
    assert not (out / "device-0").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: there is no column registration_id"),
        ("name\na\n", "line 1: there is no column registration_id"),
        ("registration_id\n", "has no devices"),
        ("registration_id\nok-1\nnot ok\n", "line 3: 'not ok' is not a registration ID"),
        ("registration_id,x\nok-1,\n,1\n", "line 3: '' is not a registration ID"),
        (f"registration_id\n{'x' * 65}\n", "line 2: 'xxx"),
        ("registration_id\nroot.key.pem\n", "line 2: 'root.key.pem' is the name of a file of the"),
        ("registration_id\nINTERMEDIATE.cert.pem\n", "is the name of a file of the CA"),
        ("registration_id\n../x\n", "line 2: '../x' is not a registration ID"),
        ("registration_id\na\nb\nA\n", "line 4: 'A' is already in line 2"),
        ("registration_id\na\na\n", "line 3: 'a' is already in line 2"),
        ('registration_id\n"a\n', "line 2: "),
        ("x,registration_id\nroof, north,a\n", "line 2: there are more fields than columns"),
        (b"registration_id\n\xff\n", "line 2: '\xff' is not a registration ID"),
        (b"PK\x03\x04 ...", "is an Excel workbook: save it as CSV"),
        (b"registration_id\na\0b\n", "is not text: save it as CSV"),
        ('registration_id\n"a" b\n', "line 2: a quote is not closed"),
        ("sep=;\nname\na\n", "line 2: there is no column registration_id"),
        ("sep=;\nregistration_id;x\na;1\na;2\n", "line 4: 'a' is already in line 3"),
    ],
)
def test_bad_csv_file_signs_nothing(command, out, csv, text, expected):
    path = csv(text)
    refusal = command("certs", "batch", path, "--out", out).refusal
    assert expected in refusal
    assert str(path) in refusal
    assert not out.exists()


SHEETS = {
    "semicolons": "registration_id;mac\r\ndevice-0;aa\r\ndevice-1;bb\r\n",
    "tabs": "mac\tregistration_id\naa\tdevice-0\nbb\tdevice-1\n",
    "sep": "sep=;\r\nregistration_id;mac\r\ndevice-0;a,a\r\ndevice-1;bb\r\n",
    "sep in quotes": '"sep=|"\nregistration_id|x\ndevice-0|1\ndevice-1|2\n',
    "quotes and blanks": '"registration_id" , x\n" device-0 ",1\ndevice-1\t,2\n',
    "name in another form": "Registration ID;x\ndevice-0;1\ndevice-1;2\n",
    "camel case": "registrationId,x\ndevice-0,1\ndevice-1,2\n",
    "empty rows": "registration_id;x\n\ndevice-0;1\n;\ndevice-1;2\n;;;\n",
    "old Macintosh": "registration_id,x\rdevice-0,1\rdevice-1,2\r",
    "one column": "registration_id\ndevice-0\ndevice-1",
}


@pytest.mark.parametrize("encoded", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("sheet", SHEETS)
def test_csv_file_of_a_spreadsheet(command, out, csv, sheet, encoded):
    done = command("certs", "batch", csv(SHEETS[sheet].encode(encoded)), "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{out}: 2 certificates made, 0 existed\n"
    assert (out / "device-0").is_dir() and (out / "device-1").is_dir()


def test_other_columns_may_have_any_encoding(command, out, csv):
    path = csv("registration_id;ort\ndevice-0;Straße\n".encode("cp1252"))
    assert command("certs", "batch", path, "--out", out).code == 0


def test_missing_csv_file(command, out, tmp_path):
    path = tmp_path / "none.csv"
    refusal = command("certs", "batch", path, "--out", out).refusal
    assert refusal == f"microdps: cannot read {path}: No such file or directory\n"


@pytest.mark.parametrize("missing", sorted(FILES))
def test_incomplete_folder_stops_the_run_before_anything_is_signed(command, out, csv, missing):
    command("certs", "chain", "device-2", "--out", out)
    (out / "device-2" / missing).unlink()
    before = contents(out)
    refusal = command("certs", "batch", csv(ids(4)), "--out", out).refusal
    assert f"{out / 'device-2'} has no {missing}: move it away" in refusal
    assert contents(out) == before


def test_full_disk_stops_the_run_and_leaves_complete_folders(command, out, csv, monkeypatch):
    path = csv(ids(5))
    opened = os.open
    signed = []

    def full(name, *given, **more):
        if ".device-3~" in str(name) and "cert.pem" in str(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(name, *given, **more)

    for module in (batch, ca):
        monkeypatch.setattr(
            module, "issue", lambda name, *a, **k: signed.append(name) or issue(name, *a, **k)
        )
    monkeypatch.setattr(os, "open", full)
    assert "No space left on device" in command("certs", "batch", path, "--out", out).refusal
    monkeypatch.undo()
    assert signed[2:] == ["device-0", "device-1", "device-2", "device-3"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == signed[2:5]
    done = command("certs", "batch", path, "--out", out)
    assert done.out == f"{out}: 2 certificates made, 3 existed\n"


def test_killed_run_leaves_complete_folders_and_can_continue(command, out, csv):
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
    command("certs", "chain", "device-0", "--out", out)
    with open(out / "intermediate.cert.pem", "rb") as other, locked(other):
        refusal = command("certs", "batch", csv(ids(2)), "--out", out).refusal
    assert f"another run signs into {out}" in refusal
    assert command("certs", "batch", csv(ids(2)), "--out", out).code == 0


def test_bad_issuer_stops_the_run_at_once(command, out, csv, monkeypatch):
    command("certs", "chain", "unused", "--out", out)
    (out / "intermediate.key.pem").write_text("no key")
    assert "intermediate.key.pem" in command("certs", "batch", csv(ids(2)), "--out", out).refusal
    assert not list(out.glob("device-*"))


def test_expired_issuer_signs_nothing(command, out, csv):
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    pair = issue("intermediate", ca=True, days=30, start=start)
    write_files(out, encoding.pem_files("intermediate", pair))
    refusal = command("certs", "batch", csv(ids(2)), "--out", out).refusal
    assert "expired on 2020-01-31" in refusal
    assert not list(out.glob("device-*"))


def test_keys_are_encrypted_on_request(command, out, csv, monkeypatch):
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, "1234")
    assert command("certs", "batch", csv(ids(1)), "--out", out, "--encrypt").code == 0
    assert b"ENCRYPTED" in (out / "device-0" / "key.pem").read_bytes()
    assert_complete(out, "device-0")


def test_progress_is_printed_in_lines_without_a_terminal(command, out, csv, monkeypatch):
    monkeypatch.setattr(batch, "PROGRESS_INTERVAL_S", 0)
    done = command("certs", "batch", csv(ids(3)), "--out", out)
    assert done.err == "".join(f"certificates: {n} of 3\n" for n in range(3))


def test_progress_is_a_bar_on_a_terminal(out, csv, tmp_path):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    arguments = ["certs", "batch", str(csv(ids(3))), "--out", str(out)]
    command = [sys.executable, "-m", "microdps_tools", *arguments]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=theirs) as run:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1000)
            except OSError:  # the process has ended
                break
            if not part:
                break
            shown += part
        printed = run.stdout.read()
    os.close(ours)
    assert b"3/3" in shown
    assert printed == f"{out}: 3 certificates made, 0 existed\n".encode()


def test_chains_with_root(command, out, csv):
    assert command("certs", "batch", csv(ids(2)), "--out", out, "--with-root").code == 0
    chain = load_certs(out / "device-1" / "cert.der")
    assert chain[2] == load_certs(out / "root.cert.pem")[0]
