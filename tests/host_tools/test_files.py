"""Files are written whole, and what holds a secret is for its owner only."""

import pytest

from microdps_tools import ToolError
from microdps_tools.certs import encoding
from microdps_tools.certs.keys import KEY_TYPES
from microdps_tools.certs.making import issue
from microdps_tools.files import is_secret, lock, locked, write_files, write_folder


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_key_is_secret_whatever_its_name_is(key_type):
    key = KEY_TYPES[key_type]()
    for content in (encoding.key_der(key), encoding.key_pem(key), encoding.key_pem(key, b"1234")):
        assert is_secret("x", content)


def test_other_secrets():
    assert is_secret("x", b"HostName=x;SharedAccessKeyName=o;SharedAccessKey=QUFB")
    assert is_secret("x", b'{"wifi": {"ssid": "home", "password": "12345678"}}')
    assert is_secret("config.json", b"{}")


def test_certificates_and_programs_are_no_secrets():
    cert = issue("x").cert
    for content in (encoding.der(cert), encoding.pem(cert), b"import os\n", b""):
        assert not is_secret("x", content)


def test_names_with_folders(tmp_path):
    write_folder(tmp_path / "new", {"a/b/c": b"1", "d": b"2"})
    assert (tmp_path / "new" / "a" / "b" / "c").read_bytes() == b"1"
    write_files(tmp_path / "new", {"a/b/c": b"3", "e/f": b"4"}, force=True)
    assert (tmp_path / "new" / "a" / "b" / "c").read_bytes() == b"3"
    assert sorted(path.name for path in (tmp_path / "new").rglob("*") if path.is_file()) == [
        "c",
        "d",
        "f",
    ]


def test_secret_on_request(tmp_path):
    write_files(tmp_path, {"image": b"x"}, secret=True)
    write_files(tmp_path, {"other": b"x"})
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("image", "other")]
    assert modes == [0o600, 0o644]


def test_folder_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ToolError, match="cannot write to"):
        write_folder(tmp_path / "file" / "new", {"a": b"1"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_lock_is_held_by_one(tmp_path):
    path = tmp_path / "file"
    with open(path, "a+b") as first, open(path, "a+b") as second:
        with locked(first), pytest.raises(BlockingIOError), locked(second, wait=False):
            pass
        with locked(second, wait=False):
            pass
        lock(first)
        with pytest.raises(BlockingIOError):
            lock(second, wait=False)
        first.close()
        lock(second, wait=False)
