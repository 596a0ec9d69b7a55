"""Which devices are next, and where the copies of their keys are."""

import builtins
import io
import os
import shutil
from pathlib import Path

import pytest

from microdps_tools.board import image
from microdps_tools.board.flash_devices import Device, delete_keys
from microdps_tools.boards import load


@pytest.fixture
def fleet(command, tmp_path, monkeypatch):
    """Two devices from a CSV file, configured, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices.csv").write_text("registration_id\none\ntwo\n")
    assert command("certs", "batch", "devices.csv").code == 0
    done = command("config", "--devices", "certs", "--id-scope", "0ne00111111", "--roots", "azure")
    assert (done.code, done.out) == (0, "devices: 2 devices ready\n")
    return tmp_path


def keys_of(folder, name) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("key.*") if name in path.parts
    )


def test_every_copy_of_a_key_is_deleted(command, fleet):
    assert keys_of(fleet, "one") == [
        "certs/one/key.der",
        "certs/one/key.pem",
        "devices/one/identity/a/key.der",
    ]
    assert delete_keys(fleet / "devices" / "one") == (3, [])
    assert keys_of(fleet, "one") == []
    assert len(keys_of(fleet, "two")) == 3


def test_key_of_both_slots_is_deleted(command, fleet):
    assert command("certs", "renew", "one").code == 0
    given = ("--identity", "certs/one/b", "--slot", "b")
    assert command("config", "--out", "devices/one", *given).code == 0
    assert delete_keys(fleet / "devices" / "one")[0] == 6
    assert keys_of(fleet, "one") == []


def test_certificate_that_was_made_anew_keeps_its_key(command, fleet):
    assert command("certs", "chain", "one", "--force").code == 0
    assert delete_keys(fleet / "devices" / "one")[0] == 1
    assert keys_of(fleet, "one") == ["certs/one/key.der", "certs/one/key.pem"]


def test_image_that_holds_a_key_is_named(command, fleet):
    given = ("--board", "ESP32_GENERIC", "--out", "one.bin")
    assert command("image", "device", "devices/one", *given).code == 0
    (fleet / "other.bin").write_bytes(os.urandom(1000))
    assert delete_keys(fleet / "devices" / "one") == (3, ["one.bin"])


def test_flash_deletes_and_names_them(command, fleet, mock):
    given = ("--board", "ESP32_GENERIC", "--devices", "devices")
    assert command("image", "device", "devices/one", *given[:2]).code == 0
    done = command("flash", mock().port, *given, "--delete-keys")
    assert (done.code, done.err) == (0, "")
    assert "devices/one: 3 files with its keys deleted\n" in done.out
    assert "  device.key.bin still holds a key: delete it\n" in done.out


def test_device_whose_key_is_deleted_keeps_its_folder(command, fleet):
    before = (fleet / "devices" / "one" / "config.json").read_bytes()
    delete_keys(fleet / "devices" / "one")
    done = command("config", "--devices", "certs", "--messages", "3")
    assert done.out == "devices: 1 devices ready, 1 without a key left as they are\n"
    assert (fleet / "devices" / "one" / "config.json").read_bytes() == before
    assert b'"messages": 3' in (fleet / "devices" / "two" / "config.json").read_bytes()


def test_two_folders_of_one_device(command, fleet):
    """DPS ignores the case of letters."""
    shutil.copytree(fleet / "devices" / "one", fleet / "devices" / "other")
    path = fleet / "devices" / "other" / "config.json"
    path.write_text(path.read_text().replace('"one"', '"ONE"'))
    given = ("--board", "ESP32_GENERIC")
    both = f"{Path('devices/one')} and {Path('devices/other')} are both for ONE"
    assert both in command("flash", "x", *given, "--devices", "devices").refusal
    assert both in command("image", "devices", "devices", *given).refusal
    assert not (fleet / "images").exists()


def test_each_file_of_a_device_is_read_once(fleet, monkeypatch):
    read, original, board = [], io.open, load("ESP32_GENERIC")

    def counting(path, *given, **options):
        read.append(Path(path).name)
        return original(path, *given, **options)

    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr(builtins, "open", counting)
    Device.load(fleet / "devices" / "one", board)
    assert sorted(read) == ["cert.der", "config.json", "key.der", "roots.der"]


def test_folder_of_certificates_is_no_folder_of_devices(command, fleet):
    done = command("flash", "x", "--board", "ESP32_GENERIC", "--devices", "certs")
    assert "microdps config --devices certs --out devices" in done.refusal


def test_devices_have_the_right_images(fleet):
    board = load("ESP32_GENERIC")
    blobs = image.device_blobs(fleet / "devices" / "one")
    assert len(image.nvs_image(blobs, board.nvs_size)) == board.nvs_size
